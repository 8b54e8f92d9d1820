"""Unit tests: no network but the loopback of a test that asks for it."""
