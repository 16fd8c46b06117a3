"""The last events of all feeds in a mapped file; survives kill -9 (volatile class of state).

File layout, little-endian: a header of 64 bytes (magic, version, record size, capacity, CRC-32 of
these), then `capacity` records. Event number n, counted from 1, lies in slot (n - 1) mod capacity
and ends in a CRC-32 of its other bytes: one torn by a crash is seen and left out. An event is
written when it is detected and again when it is over. Clearing the log is a record, too, with a
number of its own: what lies before it is gone at once, and numbers go on after a restart.
"""

from __future__ import annotations

import logging
import math
import struct
import threading
import zlib
from collections.abc import Callable
from typing import NamedTuple

from bmc_ext.clock import Clock
from bmc_ext.sampling.events import Event, EventKind
from bmc_ext.state import StateDirectory
from bmc_ext.telemetry.mapped_file import HEADER_SIZE, open_mapped

_log = logging.getLogger(__name__)

CAPACITY = 4096
"""Events kept."""

_MAGIC = b"DCPIEVNT"
_VERSION = 1
_RECORD = struct.Struct("<Q3q3d3B5x64s")
_CRC = struct.Struct("<I")
_SIZE = _RECORD.size + _CRC.size
_UNKNOWN_NS = -1
_FLAGS = 8  # their place among a record's fields
_IS_OVER, _IS_CUT, _IS_CLEARING = 1, 2, 4

# What flash bears (design, decision 12): a burst, then one new event in 2 s, each written twice:
# 2 · 43 200 records of 140 bytes and the pages that they lie in are below 25 MB a day.
_BURST = 500.0
_PER_S = 0.5


class LoggedEvent(NamedTuple):
    """One event under its number in the log; `feed_id` None is the sum of all feeds."""

    sequence: int
    feed_id: str | None
    event: Event


class EventLog:
    """The last 4096 events. Any thread records, any thread asks.

    Raises StateError when the file cannot be made.
    """

    def __init__(self, state: StateDirectory, clock: Clock) -> None:
        self._clock = clock
        self._map = open_mapped(
            state.path / "events.ring",
            magic=_MAGIC,
            version=_VERSION,
            record_bytes=_SIZE,
            capacity=CAPACITY,
        )
        self._lock = threading.Lock()  # guards what follows; held over memory only
        kept = [number for slot in range(CAPACITY) if (number := self._sequence_at(slot))]
        self._sequence = max(kept, default=0)
        self._cleared = max((number for number in kept if self._is_clearing(number)), default=0)
        self._open: dict[tuple[str | None, int], int] = {}
        self._allowance = _BURST
        self._allowed_at = clock.monotonic_s()
        self._lost = 0
        self._observers: tuple[Callable[[LoggedEvent], None], ...] = ()

    def observe(self, observer: Callable[[LoggedEvent], None]) -> None:
        """Have it told of each record, in the recording thread: it must return at once.

        One that raises is logged.
        """
        with self._lock:
            self._observers += (observer,)

    def unobserve(self, observer: Callable[[LoggedEvent], None]) -> None:
        """Tell it no more."""
        with self._lock:
            self._observers = tuple(known for known in self._observers if known != observer)

    @property
    def lost_events(self) -> int:
        """Events since the start that came faster than the log takes them: 0.5 a second."""
        return self._lost

    def record(self, feed_id: str | None, event: Event) -> None:
        """Write an event that was detected, or over what is known of it when it is over."""
        with self._lock:
            key = feed_id, event.number
            if event.is_over:
                sequence = self._open.pop(key, None)
                if sequence is None:  # lost when it was detected
                    return
            else:
                if not self._is_allowed():
                    self._lost += 1
                    return
                sequence = self._sequence = self._sequence + 1
                self._open[key] = sequence
            self._write(sequence, feed_id, event)
        self._tell(LoggedEvent(sequence, feed_id, event))

    def cut(self) -> None:
        """End all that go on: who detected them is lost, and numbers its events anew."""
        with self._lock:
            kept = [logged for n in self._open.values() if (logged := self._read(n)) is not None]
            self._open.clear()
            over = [_cut(logged) for logged in kept if logged.sequence > self._cleared]
            for logged in over:
                self._write(*logged)
        for logged in over:
            self._tell(logged)

    def newest(
        self, limit: int, since_ns: int | None = None, feed_id: str | None = None
    ) -> list[LoggedEvent]:
        """Up to `limit` events, newest first; detected at `since_ns` (UTC) or later.

        `feed_id` names one feed; None means all, and the sum of them.
        """
        found: list[LoggedEvent] = []
        with self._lock:
            oldest = max(self._cleared, self._sequence - CAPACITY)
            for sequence in range(self._sequence, oldest, -1):
                if len(found) == limit:
                    break
                logged = self._read(sequence)
                if logged is None:
                    continue
                if since_ns is not None and logged.event.detected_ns < since_ns:
                    continue
                if feed_id is None or logged.feed_id == feed_id:
                    found.append(logged)
        return found

    def clear(self) -> None:
        """Forget all events; one that is not over yet stays forgotten when it is."""
        with self._lock:
            self._sequence = self._cleared = self._sequence + 1
            nothing = 0, 0, 0, math.nan, math.nan, math.nan, 0, _IS_CLEARING, 0, b""
            self._put(self._sequence, _RECORD.pack(self._sequence, *nothing))

    def close(self) -> None:
        """Unmap the file; the log is unusable afterwards."""
        with self._lock:
            self._map.close()

    def _tell(self, logged: LoggedEvent) -> None:
        for observer in self._observers:
            try:
                observer(logged)
            except Exception:
                _log.exception("event %d was recorded, but not told", logged.sequence)

    def _is_allowed(self) -> bool:
        now_s = self._clock.monotonic_s()
        self._allowance = min(_BURST, self._allowance + (now_s - self._allowed_at) * _PER_S)
        self._allowed_at = now_s
        if self._allowance < 1.0:
            if not self._lost:
                _log.warning("more events than the log takes: those that it lacks are counted")
            return False
        self._allowance -= 1.0
        return True

    def _write(self, sequence: int, feed_id: str | None, event: Event) -> None:
        if sequence <= self._sequence - CAPACITY:
            return  # it went on for so long that its place is a newer one's
        body = _RECORD.pack(
            sequence,
            event.onset_ns,
            event.detected_ns,
            _UNKNOWN_NS if event.end_ns is None else event.end_ns,
            _number(event.before_w),
            _number(event.after_w),
            _number(event.extreme_v),
            event.kind.value,
            _IS_OVER * event.is_over | _IS_CUT * event.is_cut,
            sum(1 << int(phase[1:]) - 1 for phase in event.phases),
            (feed_id or "").encode("ascii"),
        )
        self._put(sequence, body)

    def _put(self, sequence: int, body: bytes) -> None:
        offset = _offset((sequence - 1) % CAPACITY)
        self._map[offset : offset + _SIZE] = body + _CRC.pack(zlib.crc32(body))

    def _sequence_at(self, slot: int) -> int:
        """The number of the whole event in this slot; 0 where there is none."""
        stored = self._map[_offset(slot) : _offset(slot) + _SIZE]
        if _CRC.unpack_from(stored, _RECORD.size)[0] != zlib.crc32(stored[: _RECORD.size]):
            return 0
        sequence: int = _RECORD.unpack_from(stored)[0]
        return sequence if sequence > 0 and (sequence - 1) % CAPACITY == slot else 0

    def _is_clearing(self, sequence: int) -> bool:
        fields = _RECORD.unpack_from(self._map, _offset((sequence - 1) % CAPACITY))
        return bool(fields[_FLAGS] & _IS_CLEARING)

    def _read(self, sequence: int) -> LoggedEvent | None:
        slot = (sequence - 1) % CAPACITY
        if self._sequence_at(slot) != sequence:
            return None
        (_, onset_ns, detected_ns, end_ns, before, after, extreme, kind, flags, phases, feed) = (
            _RECORD.unpack_from(self._map, _offset(slot))
        )
        event = Event(
            number=sequence,
            kind=EventKind(kind),
            is_over=bool(flags & _IS_OVER),
            is_cut=bool(flags & _IS_CUT),
            phases=tuple(f"L{k + 1}" for k in range(3) if phases >> k & 1),
            onset_ns=onset_ns,
            detected_ns=detected_ns,
            end_ns=None if end_ns == _UNKNOWN_NS else end_ns,
            before_w=_known(before),
            after_w=_known(after),
            extreme_v=_known(extreme),
        )
        return LoggedEvent(sequence, feed.rstrip(b"\0").decode("ascii") or None, event)


def _cut(logged: LoggedEvent) -> LoggedEvent:
    return logged._replace(event=logged.event._replace(is_over=True, is_cut=True))


def _offset(slot: int) -> int:
    return HEADER_SIZE + slot * _SIZE


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
