"""Tests of Honnin: unit, integration, template, e2e."""
