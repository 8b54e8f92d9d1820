"""Unit tests reach nothing outside: sockets are off, but for a test marked `allow_hosts(["127.0.0.1"])`."""

import pytest
from pytest_socket import disable_socket


@pytest.fixture(autouse=True)
def _nothing_outside(request: pytest.FixtureRequest, aws_environment: None, fresh_caches: None) -> None:
    # pytest-socket itself reads the marker, and takes every restriction away after the test.
    if request.node.get_closest_marker("allow_hosts") is None:
        disable_socket()
