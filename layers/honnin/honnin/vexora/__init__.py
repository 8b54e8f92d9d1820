"""Vexora, KYC Authentication 2.0: signature, client, models."""
