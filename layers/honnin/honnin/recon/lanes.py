"""Decides which of many transfers is next and how much time it has, so that a slow server does not delay the others."""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from math import ceil
from threading import Condition

from honnin.http_client import Deadline


class Lane[Item]:
    """Work that some workers share. At most `per_host` items of one host run at once; the hosts take turns."""

    def __init__(self, items: Sequence[Item], host_of: Callable[[Item], Hashable], per_host: int) -> None:
        seen: Counter[Hashable] = Counter()
        ranked = []
        for each in items:
            ranked.append((seen[host_of(each)], each))
            seen[host_of(each)] += 1
        self.items = [each for _, each in sorted(ranked, key=lambda pair: pair[0])]
        self._host_of = host_of
        self._per_host = per_host
        self._active: Counter[Hashable] = Counter()
        self._changed = Condition()

    def work[Result](self, do: Callable[[Item, Deadline], Result], deadline: Deadline) -> list[Result | Exception]:
        """Take items until none is left; returns the result of each. Any number of threads may call this at once.

        The time that is left is shared equally: each item gets as large a part of it as each of the items that wait.
        """
        ended: list[Result | Exception] = []
        while (taken := self._take(deadline)) is not None:
            item, turn = taken
            try:
                ended.append(do(item, turn))
            except Exception as error:  # the others go on; whoever started the workers raises it
                ended.append(error)
            finally:
                with self._changed:
                    self._active[self._host_of(item)] -= 1
                    self._changed.notify_all()
        return ended

    def _take(self, deadline: Deadline) -> tuple[Item, Deadline] | None:
        with self._changed:
            while self.items:
                for each in self.items:
                    host = self._host_of(each)
                    if self._active[host] < self._per_host:
                        share_s = deadline.remaining_s / ceil(len(self.items) / self._per_host)
                        self._active[host] += 1
                        self.items.remove(each)
                        return each, Deadline(share_s)
                self._changed.wait()
        return None
