"""docs/openapi.json, made from the code: `make openapi`."""
