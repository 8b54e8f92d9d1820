"""Tells the merchant's own endpoint each domain event (docs/api.md, "Merchant webhooks")."""
