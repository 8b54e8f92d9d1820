"""Recon: PayPay's daily files, against the webhooks received."""
