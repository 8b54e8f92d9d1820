"""Tests on moto and the provider sandbox."""
