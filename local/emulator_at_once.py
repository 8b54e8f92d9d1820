"""Takes pauses out of ministack in which nothing happens. Runs inside the emulator, before it (`leash.py --first`).

- Its Scheduler looks for what is due four times a second, not every ten seconds: `Stack.fire` makes a schedule that is
  due at once, so that nobody waits for one of a minute. The schedules of the template run as often as before.
- A long poll of an empty queue answers at once. On AWS it waits, because the messages of a queue are on many servers
  (`honninctl deadletters` polls so); here whatever is there is found by the first look.

It ends the emulator with a sentence when ministack is no longer made as it expects.
"""

import sys
from typing import Any

_SWEEP_S = 0.25


def main() -> None:
    """Change ministack's own constant, which its thread reads before each pause, and its way to receive messages."""
    # Not at the top: the tools that check this file have no ministack.
    from ministack.services import scheduler, sqs  # type: ignore[import-not-found]

    if not hasattr(scheduler, "_SCHEDULE_TICK_INTERVAL") or "ReceiveMessage" not in getattr(sqs, "_HANDLERS", ()):
        sys.exit("Error: ministack's Scheduler or SQS is made otherwise: mend local/emulator_at_once.py.")
    scheduler._SCHEDULE_TICK_INTERVAL = _SWEEP_S
    receive = sqs._HANDLERS["ReceiveMessage"]

    async def received(data: dict[str, Any], queue_url: str) -> Any:
        return await receive({**data, "WaitTimeSeconds": 0}, queue_url)

    sqs._HANDLERS["ReceiveMessage"] = received


if __name__ == "__main__":
    main()
