"""One polled device: its groups, its statistics, and Readings on access from the sample table."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from drivers.codec import QUALITIES, PointCodec
from drivers.profile_types import Accuracy, Point, Profile
from drivers.protocol import DeviceProtocol
from drivers.reading import Quality, Reading
from drivers.sample_table import Sample, SampleTable

_LOG = logging.getLogger(__name__)

# A dead device is noticed within 1 s: without any exchange for this long its values are unknown.
_SILENCE_LIMIT_S = 0.95
# A device whose groups are slower than this is asked in between, only to see that it lives.
HEARTBEAT_S = 0.5


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
class _PointFacts:
    """What every Reading of a point repeats; uncertainty = relative * |value| + absolute."""

    unit: str
    source_s: float
    relative: float
    absolute: float | None
    stuck_after_s: float
    against: str | None


class DeviceModel:
    """What devices of one profile behind equal instrument transformers share."""

    def __init__(
        self, profile: Profile, protocol: DeviceProtocol, ct_ratio: float, pt_ratio: float
    ) -> None:
        self.profile = profile
        self.protocol = protocol
        self.table = SampleTable(profile, protocol, ct_ratio, pt_ratio)
        self.codecs = self.table.codecs
        self.heartbeat = protocol.heartbeat(profile)
        self.facts = {
            name: _facts(codec, profile.groups[codec.point.group].source_s)
            for name, codec in self.codecs.items()
        }


class PolledGroup:
    """A group of one device: how and how often it is asked, and where its answers go."""

    __slots__ = (
        "_number",
        "_row",
        "_table",
        "every_s",
        "failure",
        "name",
        "requests",
        "stale_after_s",
    )

    def __init__(
        self, table: SampleTable, number: int, row: int, every_s: float, stale_after_s: float
    ) -> None:
        self.name = table.groups[number].name
        self.every_s = every_s
        self.stale_after_s = stale_after_s
        self.requests = table.groups[number].plan.requests
        self.failure: str | None = None
        self._table = table
        self._number = number
        self._row = row

    def accept(self, answers: Sequence[Any], wall: float, now: float) -> None:
        """Take the answers of a poll; `wall` in Unix seconds, `now` monotonic."""
        self._table.accept(self._row, self._number, answers, wall, now)
        self.failure = None


def _facts(codec: PointCodec, source_s: float) -> _PointFacts:
    accuracy = codec.point.accuracy
    rest = (codec.point.stuck_after_s or math.inf, codec.point.reference)
    if accuracy is None:
        return _PointFacts(codec.unit, source_s, 0.0, None, *rest)
    gain = abs(codec.to_canonical(1.0) - codec.to_canonical(0.0))
    absolute = (
        accuracy.absolute + accuracy.pct_range / 100.0 * _span(codec.point, accuracy)
    ) * gain
    return _PointFacts(codec.unit, source_s, accuracy.pct_reading / 100.0, absolute, *rest)


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

    def __init__(self, settings: DeviceSpec, model: DeviceModel, *, serial: bool) -> None:
        self.id = settings.id
        self.unit = settings.unit
        self.model = model
        self.profile = profile = model.profile
        self.codecs = model.codecs
        self.heartbeat = model.heartbeat
        own_s = settings.timeout_ms and settings.timeout_ms / 1000.0
        self.timeout_s = own_s or profile.transport.timeout_s
        self.failure: str | None = None
        self.failures_in_a_row = 0
        self.removed = False
        self.polls = self.missed_slots = self.writes = 0
        self.last_error: str | None = None
        self._errors = self._doubts = 0
        self._doubted = False
        self.heartbeat_s: float | None = None
        self.slowest_answer_s: float | None = None
        self._last_exchange = -math.inf
        self.rests_until = -math.inf
        self._written: dict[str, float] = {}
        self._writing = threading.Lock()
        self._table = model.table
        groups = [profile.groups[group.name] for group in model.table.groups]
        every = [group.serial_every_s if serial else group.every_s for group in groups]
        # With a patience of its own its values may be as old as one round of all its reads takes.
        reads = sum(len(group.plan.requests) for group in model.table.groups)
        least = [0.0 if own_s is None else every_s + own_s * reads for every_s in every]
        stale = [max(group.stale_after_s, old) for group, old in zip(groups, least, strict=True)]
        self._row = self._table.add(stale, self._be_doubted)
        self.groups = [
            PolledGroup(self._table, number, self._row, every[number], stale[number])
            for number in range(len(groups))
        ]

    def forget(self) -> None:
        """The device is gone: nobody reads it any more."""
        self._table.remove(self._row)

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
        return self.groups[self._table.group_of(self._table.columns[point])]

    def answered(self, now: float, took_s: float | None = None) -> None:
        """The device answered something, or is watched from now on; `now` is monotonic."""
        self._last_exchange = now
        rest_s = self.profile.transport.min_interval_s
        if rest_s:
            self.rests_until = now + rest_s
        if took_s is not None and took_s > (self.slowest_answer_s or 0.0):
            self.slowest_answer_s = took_s

    def recovered(self) -> None:
        """The device is reachable."""
        self.failure = None
        self.failures_in_a_row = 0

    def failed(self, reason: str) -> None:
        """The device is out of reach: all its values are unknown from now on."""
        self.failure = reason
        self.failures_in_a_row += 1
        self.erred(reason)

    def erred(self, reason: str) -> None:
        """Something about the device went wrong."""
        self._errors += 1
        self.last_error = reason

    def may_write(self, point: str, now: float) -> float:
        """Seconds until the point may be written again; 0 allows it and counts as a write."""
        rule = self.profile.points[point].write
        assert rule is not None
        with self._writing:
            left_s = self._written.get(point, -math.inf) + rule.min_interval_s - now
            if left_s > 0.0:
                return left_s
            self._written[point] = now
            return 0.0

    @property
    def statistics(self) -> DeviceStatistics:
        """What happened so far."""
        self._table.settle()
        return DeviceStatistics(
            self.polls,
            self._errors + self._doubts,
            self.missed_slots,
            self.writes,
            self.last_error,
        )

    @property
    def verdicts(self) -> tuple[bool | None, ...]:
        """Whether each of the profile's checks holds; None where that could not be told yet."""
        return self._table.verdicts(self._row)

    def reading(self, point: str, now: float) -> Reading:
        """The Reading of a point at monotonic time `now`; KeyError names device and point.

        While a check fails no value is known: one wrong reading discredits them all.
        """
        try:
            column = self._table.columns[point]
        except KeyError:
            raise KeyError(
                f"device {self.id!r} ({self.profile.id}) has no point {point!r}"
            ) from None
        facts = self.model.facts[point]
        group = self.groups[self._table.group_of(column)]
        lost = self.failure is not None or group.failure is not None or self._is_silent(now)
        sample = self._table.sample(self._row, column)
        if sample is None:
            quality = Quality.COMM_ERROR if lost else Quality.STALE
            return Reading(
                None, facts.unit, quality, source_interval_s=facts.source_s, against=facts.against
            )
        quality = _quality(sample, now, group.stale_after_s, facts.stuck_after_s, lost)
        value = sample.value if quality is Quality.OK else None
        return Reading(
            value,
            facts.unit,
            quality,
            sample.measured_wall,
            sample.changed_wall,
            facts.source_s,
            None if math.isnan(sample.interval_s) else sample.interval_s,
            _uncertainty(value, facts),
            against=facts.against,
        )

    def _is_silent(self, now: float) -> bool:
        silent_s = now - self._last_exchange
        return silent_s > _SILENCE_LIMIT_S and silent_s > self.silence_limit_s

    def readings(self, now: float) -> dict[str, Reading]:
        """All points, in the profile's order."""
        return {point: self.reading(point, now) for point in self.profile.points}

    def _be_doubted(self, check: str | None) -> None:
        """A cross-check began to fail, or none does any more."""
        if check is not None:
            self._doubts += 1
            self.last_error = f"check fails: {check}"
            _LOG.warning("device %s is not believed, %s", self.id, self.last_error)
        elif self._doubted:
            _LOG.info("device %s passes its checks", self.id)
        self._doubted = check is not None


def _quality(
    sample: Sample, now: float, stale_after_s: float, stuck_after_s: float, lost: bool
) -> Quality:
    """The worst that can be said of a sample, in the order in which it explains the rest."""
    if lost:
        return Quality.COMM_ERROR
    if now - sample.measured > stale_after_s:
        return Quality.STALE
    quality = QUALITIES[sample.quality]
    if quality is not Quality.OK:
        return quality
    if sample.doubted:
        return Quality.OUT_OF_RANGE
    # At standstill 0 stands still rightly: to withhold it would hide a stopped pump.
    is_stuck = now - sample.since > stuck_after_s and sample.value != 0.0
    return Quality.STALE if is_stuck else Quality.OK
