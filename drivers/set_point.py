"""A write to a device: checked against the profile's bounds, done once, judged by its read-back."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import Literal

from drivers.errors import WriteRefusedError
from drivers.field_device import FieldDevice
from drivers.profile_types import Point
from drivers.reading import Reading

WriteStatus = Literal["accepted", "not_set", "comm_error"]

# Conversions between units round in the last digits; a bound is not meant to that accuracy.
_ROUNDING = 1e-9
# The rounding of an IEEE 754 single, as which most devices hold a set point.
_SINGLE = 2.0**-23


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What became of a write; values in the point's canonical unit.

    `accepted` is what the device said afterwards that it holds, None when it could not be read.
    """

    point: str
    requested: float
    accepted: float | None
    status: WriteStatus
    reason: str | None = None


class PendingWrite:
    """A checked write on its way to the owner of the bus.

    Either the owner claims it or the caller cancels it, never both: what was given up on is not
    written later. Raises WriteRefusedError when the profile does not allow it at monotonic `now`.
    """

    def __init__(self, device: FieldDevice, point: str, value: float, now: float) -> None:
        self.device = device
        _check(device, point, value)
        self.point: Point = device.profile.points[point]
        self.requested = value
        self.request = device.model.protocol.write_request(device.codecs[point], value)
        left_s = device.may_write(point, now)
        if left_s > 0.0:
            rule = self.point.write
            assert rule is not None
            raise WriteRefusedError(
                f"{device.id}/{point}: written less than {rule.min_interval_s:g} s ago, "
                f"wait {left_s:.3g} s"
            )
        self._claimed = threading.Lock()
        self._done = threading.Event()
        self._result: WriteResult | None = None

    def claim(self) -> bool:
        """Take the write for good; False when somebody else did."""
        return self._claimed.acquire(blocking=False)

    def finish(
        self, status: WriteStatus, *, accepted: float | None = None, reason: str | None = None
    ) -> None:
        """Say what became of it."""
        self._result = WriteResult(self.point.name, self.requested, accepted, status, reason)
        self._done.set()

    def result(self, timeout_s: float) -> WriteResult:
        """Wait for the outcome; after `timeout_s` an unclaimed write is cancelled."""
        if not self._done.wait(timeout_s):
            cancelled = self.claim()
            outcome = "it was not sent" if cancelled else "whether the device took it is unknown"
            reason = f"no answer within {timeout_s:g} s, {outcome}"
            return WriteResult(self.point.name, self.requested, None, "comm_error", reason)
        assert self._result is not None
        return self._result

    def judge(self, reading: Reading) -> tuple[WriteStatus, str | None]:
        """Whether a read-back equals what was written, within the register's resolution."""
        codec = self.device.codecs[self.point.name]
        if reading.value is None:
            return "not_set", f"the read-back is {reading.quality}"
        tolerance = codec.resolution() / 2.0 + _SINGLE * max(1.0, abs(self.requested))
        if abs(reading.value - self.requested) <= tolerance:
            return "accepted", None
        return "not_set", f"the device holds {reading.value:g} {reading.unit}"


def _check(device: FieldDevice, name: str, value: float) -> None:
    where = f"{device.id}/{name}"
    point = device.profile.points.get(name)
    if point is None:
        raise WriteRefusedError(f"{where}: {device.profile.id} has no such point")
    if point.write is None:
        raise WriteRefusedError(f"{where}: the point is read-only")
    if not math.isfinite(value):
        raise WriteRefusedError(f"{where}: {value} is not a number that can be set")
    codec = device.codecs[name]
    low, high = sorted((codec.to_canonical(point.write.low), codec.to_canonical(point.write.high)))
    slack = _ROUNDING * max(abs(low), abs(high))
    if not low - slack <= value <= high + slack:
        raise WriteRefusedError(f"{where}: {value:g} is outside {low:g} to {high:g} {codec.unit}")
