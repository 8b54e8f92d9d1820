"""Tests over the transformed template."""
