"""What waits for one subscriber: bounded, in order, and honest about what it had to drop."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from bmc_ext.redfish.events.message import Audience

CAPACITY = 256
"""Events that may wait for one subscriber."""


FACTS = frozenset({
    "EventFormatType", "EventType", "MessageId", "MetricReportDefinition", "OriginResource",
    "RegistryPrefix", "ResourceType", "Severity",
})  # fmt: skip
"""What a filter may ask of an item."""


class Item(NamedTuple):
    """One payload: `facts` are those of FACTS that it has, `body` the JSON without a Context.

    `id` is unique; `sequence` that of the event, or of the newest event before a metric report.
    Only the `audience` may be offered it, where there is one.
    """

    id: str
    sequence: int
    facts: Mapping[str, Any]
    body: Mapping[str, Any]
    audience: Audience | None = None


class Outbox:
    """The queue of one subscriber. Any thread offers; one consumer takes.

    `wake` is called after each change, in the thread that made it.
    """

    def __init__(
        self,
        accepts: Callable[[Item], bool],
        wake: Callable[[], None],
        capacity: int = CAPACITY,
    ) -> None:
        self._accepts = accepts
        self._wake = wake
        self._capacity = capacity
        self._lock = threading.Lock()
        self._items: deque[Item] = deque()
        self._dropped: int | None = 0

    def offer(self, item: Item) -> None:
        """Take an item in if it is wanted; where there is no room the oldest goes."""
        if not self._accepts(item):
            return
        with self._lock:
            if len(self._items) == self._capacity:
                self._items.popleft()
                self._lose(1)
            self._items.append(item)
        self._wake()

    def lose(self, count: int | None) -> None:
        """Note that so many items could not even be offered; None where nobody knows how many."""
        with self._lock:
            self._lose(count)
        self._wake()

    def take(self) -> tuple[int | None, Item | None]:
        """How many were dropped since the last call, and the oldest item, which leaves the queue.

        (0, None) when there is nothing; None dropped is an unknown number.
        """
        with self._lock:
            dropped, self._dropped = self._dropped, 0
            return dropped, self._items.popleft() if self._items else None

    def clear(self) -> None:
        """Forget all that waits."""
        with self._lock:
            self._items.clear()
            self._dropped = 0

    def _lose(self, count: int | None) -> None:
        known = count is not None and self._dropped is not None
        self._dropped = (self._dropped or 0) + (count or 0) if known else None
