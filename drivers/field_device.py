"""One polled device: its groups, the arrays of their last values, and Readings on access."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.codec import QUALITIES, PointCodec
from drivers.profile_types import Accuracy, Check, Group, Point, Profile
from drivers.protocol import DeviceProtocol, GroupPlan
from drivers.reading import Quality, Reading

# A dead device is noticed within 1 s: without any exchange for this long its values are unknown.
_SILENCE_LIMIT_S = 0.95
# A device whose groups are slower than this is asked in between, only to see that it lives.
HEARTBEAT_S = 0.5
# Weight of the newest interval in the average of the observed refresh intervals.
_INTERVAL_WEIGHT = 0.25


@dataclass(frozen=True, slots=True)
class DeviceSpec:
    """What the engine must know of a device.

    `id` is the name that readings are asked by, `profile` a profile's id or the path of its file,
    `target` is an address of the profile's protocol, `tcp://HOST:PORT` or
    `serial:///dev/NAME?baud=9600` for Modbus, `unit` the Modbus unit.
    `ct_ratio` and `pt_ratio` are primary over secondary of the instrument transformers.
    `timeout_ms` is how long an answer may take, the profile's time when None.
    """

    id: str
    profile: str
    target: str
    unit: int = 1
    ct_ratio: float = 1.0
    pt_ratio: float = 1.0
    timeout_ms: float | None = None


@dataclass(frozen=True, slots=True)
class DeviceStatistics:
    """What happened since the device was added; `last_error` is the newest one's text."""

    polls: int = 0
    errors: int = 0
    missed_slots: int = 0
    writes: int = 0
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class _Sample:
    """One read of a group; arrays by point. Wall times are Unix seconds."""

    values: NDArray[np.float64]
    qualities: NDArray[np.uint8]
    measured_at: float
    measured_monotonic: float
    changed_at: NDArray[np.float64]
    changed_monotonic: NDArray[np.float64]
    intervals_s: NDArray[np.float64]

    def followed_by(
        self, values: NDArray[np.float64], qualities: NDArray[np.uint8], wall: float, now: float
    ) -> _Sample:
        """The next read, with what changed since this one."""
        # NaN differs from itself: absent after absent is no change.
        differs = (values != self.values) & ~(np.isnan(values) & np.isnan(self.values))
        if not differs.any():
            return replace(self, qualities=qualities, measured_at=wall, measured_monotonic=now)
        observed = now - self.changed_monotonic
        smoothed = self.intervals_s + _INTERVAL_WEIGHT * (observed - self.intervals_s)
        smoothed = np.where(np.isnan(smoothed), observed, smoothed)
        return _Sample(
            values,
            qualities,
            wall,
            now,
            np.where(differs, wall, self.changed_at),
            np.where(differs, now, self.changed_monotonic),
            np.where(differs, smoothed, self.intervals_s),
        )


@dataclass(frozen=True, slots=True)
class _PointFacts:
    """What every Reading of a point repeats; uncertainty = relative * |value| + absolute."""

    unit: str
    source_s: float
    relative: float
    absolute: float | None


class PolledGroup:
    """A group of one device: its reads and its newest sample, which is replaced, never changed."""

    def __init__(
        self, plan: GroupPlan, group: Group, every_s: float, codecs: list[PointCodec]
    ) -> None:
        self.name = group.name
        self.every_s = every_s
        self.stale_after_s = group.stale_after_s
        self.requests = plan.requests
        self.points = [codec.point for codec in codecs]
        self.failure: str | None = None
        self._plan = plan
        self._facts = [_facts(codec, group.source_s) for codec in codecs]
        self._sample: _Sample | None = None

    def accept(self, answers: Sequence[Any], wall: float, now: float) -> None:
        """Take the answers of a poll; `wall` in Unix seconds, `now` monotonic."""
        values, qualities = self._plan.decode(answers)
        last = self._sample
        if last is None:
            unknown = np.full(len(values), np.nan)
            first = np.full(len(values), wall)
            self._sample = _Sample(values, qualities, wall, now, first, unknown, unknown)
        else:
            self._sample = last.followed_by(values, qualities, wall, now)
        self.failure = None

    def reading(self, row: int, now: float, *, lost: bool) -> Reading:
        """The Reading of a point; `lost` is whether the device is out of reach."""
        facts = self._facts[row]
        sample = self._sample
        lost = lost or self.failure is not None
        if sample is None:
            quality = Quality.COMM_ERROR if lost else Quality.STALE
            return Reading(None, facts.unit, quality, source_interval_s=facts.source_s)
        quality = QUALITIES[sample.qualities[row]]
        if lost:
            quality = Quality.COMM_ERROR
        elif now - sample.measured_monotonic > self.stale_after_s:
            quality = Quality.STALE
        value = float(sample.values[row]) if quality is Quality.OK else None
        interval_s = float(sample.intervals_s[row])
        return Reading(
            value,
            facts.unit,
            quality,
            sample.measured_at,
            float(sample.changed_at[row]),
            facts.source_s,
            None if math.isnan(interval_s) else interval_s,
            _uncertainty(value, facts),
        )


def _facts(codec: PointCodec, source_s: float) -> _PointFacts:
    accuracy = codec.point.accuracy
    if accuracy is None:
        return _PointFacts(codec.unit, source_s, 0.0, None)
    gain = abs(codec.to_canonical(1.0) - codec.to_canonical(0.0))
    absolute = (
        accuracy.absolute + accuracy.pct_range / 100.0 * _span(codec.point, accuracy)
    ) * gain
    return _PointFacts(codec.unit, source_s, accuracy.pct_reading / 100.0, absolute)


def _span(point: Point, accuracy: Accuracy) -> float:
    """The width of the range; percent of range without one is refused when a profile is loaded."""
    if point.range is None or not accuracy.pct_range:
        return 0.0
    return point.range[1] - point.range[0]


def _uncertainty(value: float | None, facts: _PointFacts) -> float | None:
    if value is None or facts.absolute is None:
        return None
    return abs(value) * facts.relative + facts.absolute


class FieldDevice:
    """A device that a bus owner polls and everybody may read.

    Only the bus owner calls the methods that change it; readers see whole samples.
    """

    def __init__(
        self, settings: DeviceSpec, profile: Profile, protocol: DeviceProtocol, *, serial: bool
    ) -> None:
        self.id = settings.id
        self.unit = settings.unit
        self.profile = profile
        self.protocol = protocol
        self.heartbeat = protocol.heartbeat(profile)
        own_s = settings.timeout_ms and settings.timeout_ms / 1000.0
        self.timeout_s = own_s or profile.transport.timeout_s
        self.failure: str | None = None
        # Nothing is believed before the checks were made for the first time.
        self.doubt: str | None = "not checked yet" if profile.checks else None
        self.failures_in_a_row = 0
        self.removed = False
        self.statistics = DeviceStatistics()
        self.codecs = {
            name: PointCodec(point, settings.ct_ratio, settings.pt_ratio)
            for name, point in profile.points.items()
        }
        self.groups = [
            _polled_group(profile, protocol, group, serial, list(self.codecs.values()))
            for group in profile.groups.values()
            if any(point.group == group.name for point in profile.points.values())
        ]
        self._index = {
            point.name: (group, row)
            for group in self.groups
            for row, point in enumerate(group.points)
        }
        self._verdicts: list[bool | None] = [None] * len(profile.checks)
        self.heartbeat_s: float | None = None
        self._last_exchange = -math.inf
        if own_s is not None:
            # Its values may be as old as one round of all its reads takes.
            round_s = own_s * sum(len(group.requests) for group in self.groups)
            for group in self.groups:
                group.stale_after_s = max(group.stale_after_s, group.every_s + round_s)

    @property
    def fastest_s(self) -> float:
        """The shortest interval at which the device is asked anything."""
        fastest = min(group.every_s for group in self.groups)
        return fastest if self.heartbeat_s is None else min(fastest, self.heartbeat_s)

    @property
    def silence_limit_s(self) -> float:
        """After so long without an exchange the device's values are unknown."""
        return max(_SILENCE_LIMIT_S, self.fastest_s + self.timeout_s + 0.1)

    def group_of(self, point: str) -> PolledGroup:
        """The group that polls a point."""
        return self._index[point][0]

    def answered(self, now: float) -> None:
        """The device answered something, or is watched from now on; `now` is monotonic."""
        self._last_exchange = now

    def recovered(self) -> None:
        """The device is reachable."""
        self.failure = None
        self.failures_in_a_row = 0

    def failed(self, reason: str) -> None:
        """The device is out of reach: all its values are unknown from now on."""
        self.failure = reason
        self.failures_in_a_row += 1
        self.count(errors=1, last_error=reason)

    def count(
        self,
        *,
        polls: int = 0,
        errors: int = 0,
        missed_slots: int = 0,
        writes: int = 0,
        last_error: str | None = None,
    ) -> None:
        """Add to the statistics."""
        was = self.statistics
        self.statistics = DeviceStatistics(
            was.polls + polls,
            was.errors + errors,
            was.missed_slots + missed_slots,
            was.writes + writes,
            last_error if last_error is not None else was.last_error,
        )

    def reading(self, point: str, now: float) -> Reading:
        """The Reading of a point at monotonic time `now`; KeyError names device and point.

        While a check fails no value is known: one wrong reading discredits them all.
        """
        reading = self._as_read(point, now)
        if self.doubt is None or reading.value is None:
            return reading
        return replace(reading, value=None, quality=Quality.OUT_OF_RANGE, uncertainty=None)

    def _as_read(self, point: str, now: float) -> Reading:
        try:
            group, row = self._index[point]
        except KeyError:
            raise KeyError(
                f"device {self.id!r} ({self.profile.id}) has no point {point!r}"
            ) from None
        lost = self.failure is not None or now - self._last_exchange > self.silence_limit_s
        return group.reading(row, now, lost=lost)

    @property
    def verdicts(self) -> tuple[bool | None, ...]:
        """Whether each of the profile's checks holds; None where that could not be told yet."""
        return tuple(self._verdicts)

    def review(self, now: float) -> None:
        """Make the profile's checks on the newest values; `doubt` then says which one fails.

        A check that cannot be told, since a point is absent or not fresh, keeps its verdict.
        """
        for number, check in enumerate(self.profile.checks):
            verdict = self._verdict(check, now)
            if verdict is not None:
                self._verdicts[number] = verdict
        failing = zip(self.profile.checks, self._verdicts, strict=True)
        self.doubt = next((check.text for check, holds in failing if holds is False), None)

    def _verdict(self, check: Check, now: float) -> bool | None:
        """Whether it holds; a point out of range is as wrong as a relation that is not kept."""
        newest = {point: self._as_read(point, now) for point in check.points}
        if any(reading.quality is Quality.OUT_OF_RANGE for reading in newest.values()):
            return False
        return check.holds(
            {
                point: self.codecs[point].to_device(reading.value)
                for point, reading in newest.items()
                if reading.value is not None
            }
        )

    def readings(self, now: float) -> dict[str, Reading]:
        """All points, in the profile's order."""
        return {point: self.reading(point, now) for point in self.profile.points}


def _polled_group(
    profile: Profile,
    protocol: DeviceProtocol,
    group: Group,
    serial: bool,
    codecs: list[PointCodec],
) -> PolledGroup:
    members = [codec for codec in codecs if codec.point.group == group.name]
    every_s = group.serial_every_s if serial else group.every_s
    return PolledGroup(protocol.plan(profile, members), group, every_s, members)
