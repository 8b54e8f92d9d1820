"""Vexora, simulated from its document "KYC Authentication 2.0"."""
