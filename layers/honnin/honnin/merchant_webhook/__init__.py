"""Sends each domain event to the merchant's own endpoint (docs/api.md, "Merchant webhooks")."""
