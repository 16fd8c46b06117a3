"""The clock as a port: a test or a headless plant brings its own."""

from __future__ import annotations

import datetime
import functools
import math
import time
from typing import Protocol

WINDOW_NS = 100_000_000
"""Length of a measurement window: 100 ms (DCPI Table 1, power monitoring)."""


class Clock(Protocol):
    """Wall and monotonic time."""

    def unix_ns(self) -> int:
        """UTC in nanoseconds since 1970-01-01."""

    def monotonic_s(self) -> float:
        """Seconds on a clock that never steps."""

    def sleep(self, seconds: float) -> None:
        """Wait that long on this clock."""


class SystemClock:
    """The machine's own clocks."""

    def unix_ns(self) -> int:
        """UTC in nanoseconds since 1970-01-01."""
        return time.time_ns()

    def monotonic_s(self) -> float:
        """Seconds on a clock that never steps."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait that long on this clock."""
        time.sleep(seconds)


@functools.lru_cache(64)  # the values of a window share their times, to the last bit
def iso8601(unix_s: float) -> str:
    """UTC time as ISO 8601 with milliseconds and Z (DCPI 5.2.1)."""
    fraction, seconds = math.modf(unix_s)
    moment = divmod(round(fraction * 1e6), 1_000_000)  # to the µs, as datetime has it
    return f"{_second(int(seconds) + moment[0])}.{moment[1] // 1000:03d}Z"


@functools.lru_cache(64)
def _second(unix_s: int) -> str:
    return datetime.datetime.fromtimestamp(unix_s, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")


def parse_iso8601(text: str) -> float:
    """Unix seconds of an RFC 3339 date-time; ValueError where it is none or has no offset."""
    moment = datetime.datetime.fromisoformat(text.upper())
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no UTC offset")
    return moment.timestamp()
