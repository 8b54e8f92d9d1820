"""Doubles of what lies outside, by subject. Those that most tests need are at hand here.

A test module holds tests only; whatever two of them need is here (`tests/unit/test_tests.py`).
"""

from tests.fakes.aws import FakeBus, FakeLambdaContext, FakeQueue, FakeQueueClient, FakeSecrets, FakeTopic
from tests.fakes.clocks import START, FakeClock
from tests.fakes.loopback import FileServer, LoopbackServer, RawServer, Received, Reply
from tests.fakes.vexora import FakeCredentials, FakeVexora

__all__ = [
    "START",
    "FakeBus",
    "FakeClock",
    "FakeCredentials",
    "FakeLambdaContext",
    "FakeQueue",
    "FakeQueueClient",
    "FakeSecrets",
    "FakeTopic",
    "FakeVexora",
    "FileServer",
    "LoopbackServer",
    "RawServer",
    "Received",
    "Reply",
]
