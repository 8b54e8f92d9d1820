"""Reads the ids of events about Vexora."""

from honnin.event import Provider


def submission_of(provider: str, event_id: str) -> str | None:
    """The Vexora submission that an event is about: its id is the second part of the event's (`api:<id>:started`)."""
    parts = event_id.split(":")
    return parts[1] if provider == Provider.VEXORA and len(parts) > 2 else None
