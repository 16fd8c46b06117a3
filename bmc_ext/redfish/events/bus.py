"""From every source to every subscriber: one thread numbers, renders and hands out events."""

from __future__ import annotations

import logging
import queue
import threading
import uuid
from collections import deque
from collections.abc import Mapping
from typing import Any

from bmc_ext.clock import Clock, iso8601
from bmc_ext.redfish.events.message import DCPI, HEARTBEAT, Happening, happening
from bmc_ext.redfish.events.outbox import Item, Outbox

_LOG = logging.getLogger(__name__)

KEPT_EVENTS = 1000
"""Events that a stream can be resumed from."""

_WAITING = 4096  # happenings that no thread has numbered yet

Report = tuple[Mapping[str, Any], str]
"""The body of a MetricReport and the URI of its definition."""


class EventBus:
    """`publish` never waits: what comes faster than it can be told is counted, and that is told.

    EventIds rise over restarts too, unless the clock was set back: they go on from the milliseconds
    of the Unix time of the start.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._incoming: queue.Queue[Happening | Report | None] = queue.Queue(_WAITING)
        self._lock = threading.Lock()  # guards what follows; never held while something waits
        self._sequence = self._first = clock.unix_ns() // 1_000_000
        self._reports = 0
        self._kept: deque[Item] = deque(maxlen=KEPT_EVENTS)
        self._outboxes: tuple[Outbox, ...] = ()
        self._unheard = 0
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)

    def start(self) -> None:
        """Begin to hand out."""
        self._thread.start()

    def stop(self) -> None:
        """Hand out what is there, then end."""
        if self._thread.is_alive():
            self._incoming.put(None)
            self._thread.join()

    def publish(self, event: Happening | Report) -> None:
        """Tell all who subscribe to it; any thread, at once."""
        try:
            self._incoming.put_nowait(event)
        except queue.Full:
            with self._lock:
                self._unheard += 1

    def attach(self, outbox: Outbox, after: int | None = None) -> None:
        """Offer everything from now on; with `after`, first what is kept after that number.

        What came after it and is kept no more is told as lost.
        """
        with self._lock:
            if after is not None and after != self._sequence:
                if not self._first <= after < self._sequence:
                    after = 0  # an event of an earlier run: who knows what came then
                    outbox.lose(None)
                elif after + 1 < self._kept[0].sequence:
                    outbox.lose(self._kept[0].sequence - after - 1)
                for item in self._kept:
                    if item.sequence > after:
                        outbox.offer(item)
            self._outboxes += (outbox,)

    def detach(self, outbox: Outbox) -> None:
        """Offer nothing more."""
        with self._lock:
            self._outboxes = tuple(known for known in self._outboxes if known is not outbox)

    def lost_notice(self, count: int | None) -> dict[str, Any]:
        """The payload that tells a subscriber what it did not get."""
        words = ["an unknown number of" if count is None else count]
        event = happening(f"{DCPI}.EventsLost", words, at_s=self._clock.unix_ns() / 1e9)
        return event_body(f"lost-{uuid.uuid4()}", event)

    def heartbeat(self) -> dict[str, Any]:
        """The payload that tells a subscriber that the service is there."""
        message = f"{HEARTBEAT}.RedfishServiceFunctional"
        event = happening(message, at_s=self._clock.unix_ns() / 1e9)
        return event_body(f"heartbeat-{uuid.uuid4()}", event)

    def _run(self) -> None:
        while (event := self._incoming.get()) is not None:
            try:
                self._hand_out(event)
            except Exception:
                _LOG.exception("an event could not be told: %s", event)

    def _hand_out(self, event: Happening | Report) -> None:
        with self._lock:
            unheard, self._unheard = self._unheard, 0
            item = self._item(event)
            for outbox in self._outboxes:
                if unheard:
                    outbox.lose(unheard)
                outbox.offer(item)

    def _item(self, event: Happening | Report) -> Item:
        """Number it, and keep what a stream can be resumed from."""
        if not isinstance(event, Happening):
            self._reports += 1
            body, definition = event
            facts = {"EventFormatType": "MetricReport", "MetricReportDefinition": definition}
            return Item(f"{self._sequence}.{self._reports}", self._sequence, facts, body)
        self._sequence += 1
        item = Item(
            str(self._sequence),
            self._sequence,
            {
                "EventFormatType": "Event",
                "EventType": event.event_type,
                "MessageId": event.message_id,
                "RegistryPrefix": event.prefix,
                "OriginResource": event.origin,
                "ResourceType": event.origin_type,
                "Severity": event.severity,
            },
            event_body(str(self._sequence), event),
            event.audience,
        )
        self._kept.append(item)
        return item


def event_body(event_id: str, event: Happening) -> dict[str, Any]:
    """An Event payload with one record (DSP0266 12.2)."""
    record: dict[str, Any] = {
        "MemberId": "0",
        "EventType": event.event_type,
        "EventId": event_id,
        "EventTimestamp": iso8601(event.at_s),
        "Severity": event.severity,
        "MessageSeverity": event.severity,
        "Message": event.text,
        "MessageId": event.message_id,
        "MessageArgs": list(event.args),
    }
    if event.origin is not None:
        record["OriginOfCondition"] = {"@odata.id": event.origin}
    return {
        "@odata.type": "#Event.v1_11_0.Event",
        "Id": event_id,
        "Name": "Event",
        "Events": [record],
    }
