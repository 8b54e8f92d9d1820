"""Generated from docs/openapi.json by `make clients`: do not edit."""
