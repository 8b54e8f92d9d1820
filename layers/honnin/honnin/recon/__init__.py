"""Recon: PayPay's daily files, against what we heard."""
