"""Errors are hand-written, in `honnin_client.errors`."""
