"""Samples of a device: by the engine as in service, and as fast as its bus allows."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from drivers.check.observations import Load, Proof, Pull
from drivers.check.series import Series
from drivers.codec import QUALITIES, PointCodec
from drivers.engine import DeviceStatistics, Engine
from drivers.errors import TransportError
from drivers.profile_types import Profile
from drivers.protocol import GroupPlan, Transport, protocol_named
from drivers.reading import Quality

# Fast polling asks at most so often: a device must not be put under load by it.
_FASTEST_POLL_S = 0.01
# How often the engine's readings are looked at, compared with its fastest poll.
_LOOKS_A_POLL = 4
_SLOWEST_LOOK_S = 0.1

# After so many lost answers no more are waited for.
_MOST_LOST = 4

Progress = Callable[[float], None]


@dataclass
class _Column:
    """One point's growing samples."""

    time_s: list[float] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    uncertainty: list[float] = field(default_factory=list)

    def add(self, time_s: float, value: float | None, uncertainty: float | None) -> None:
        self.time_s.append(time_s)
        self.value.append(np.nan if value is None else value)
        self.uncertainty.append(np.nan if uncertainty is None else uncertainty)

    def series(self) -> Series:
        return Series.of(self.time_s, self.value, self.uncertainty)


class EngineSamples:
    """What an engine's readings of one device were over time; `look` often enough misses none."""

    def __init__(self, engine: Engine, device_id: str) -> None:
        self._engine = engine
        self._id = device_id
        self._columns = {name: _Column() for name in engine.readings(device_id)}
        self._last = dict.fromkeys(self._columns, -np.inf)
        self._qualities: dict[str, Counter[str]] = {name: Counter() for name in self._columns}
        self._failed: dict[str, int] = {}
        self._held: set[str] = set()

    def look(self) -> None:
        """Take over what is new; each look also counts how long a point was in which quality."""
        for name, reading in self._engine.readings(self._id).items():
            self._qualities[name][reading.quality.value] += 1
            measured = reading.measured_at
            if measured is not None and measured > self._last[name]:
                self._last[name] = measured
                self._columns[name].add(measured, reading.value, reading.uncertainty)
        for check, holds in self._engine.checks(self._id):
            if holds is False:
                self._failed[check.text] = self._failed.get(check.text, 0) + 1
            elif holds:
                self._held.add(check.text)

    def series(self) -> dict[str, Series]:
        """The samples by point."""
        return {name: column.series() for name, column in self._columns.items()}

    def qualities(self, point: str) -> dict[str, float]:
        """The share of the time by quality."""
        total = sum(self._qualities[point].values()) or 1
        return {name: count / total for name, count in self._qualities[point].items()}

    def check_held(self, text: str) -> bool | None:
        """Whether a check held whenever it could be told; None when it never could."""
        if self._failed.get(text):
            return False
        return True if text in self._held else None


@dataclass(frozen=True, slots=True)
class Served:
    """What came of the part in service."""

    samples: EngineSamples
    statistics: DeviceStatistics
    checks: list[Proof]
    pulls: list[Pull]
    writes: list[Proof] | None
    reference: Mapping[str, Series]


def watch(
    samples: Iterable[EngineSamples],
    every_s: float,
    duration_s: float,
    progress: Progress,
) -> None:
    """Look at the readings for so long; `every_s` is the engine's fastest poll."""
    look_s = min(_SLOWEST_LOOK_S, every_s / _LOOKS_A_POLL)
    watched = list(samples)
    began = time.monotonic()
    while (elapsed := time.monotonic() - began) < duration_s:
        for each in watched:
            each.look()
        progress(elapsed / duration_s)
        time.sleep(look_s)


def settled(engine: Engine, device_id: str) -> bool:
    """Whether every point was read once, whatever came of it."""
    return all(
        reading.quality not in (Quality.STALE, Quality.COMM_ERROR)
        for reading in engine.readings(device_id).values()
    )


def wait_settled(engine: Engine, device_ids: Sequence[str], within_s: float) -> float | None:
    """Seconds until all points of the devices were read; None when that took longer."""
    began = time.monotonic()
    while (elapsed := time.monotonic() - began) < within_s:
        if all(settled(engine, device_id) for device_id in device_ids):
            return elapsed
        time.sleep(0.01)
    return None


@dataclass(frozen=True, slots=True)
class _Group:
    """One group's plan and the points that its arrays stand for."""

    points: tuple[str, ...]
    plan: GroupPlan


class FastReader:
    """Reads all of a device over a transport of its own, without the engine's deadlines."""

    def __init__(self, transport: Transport, profile: Profile, unit: int) -> None:
        self._transport = transport
        self._profile = profile
        self._unit = unit
        self._columns = {name: _Column() for name in profile.points}
        protocol = protocol_named(profile.protocol)
        self._groups = []
        for group in profile.groups:
            codecs = [PointCodec(p) for p in profile.points.values() if p.group == group]
            if codecs:
                names = tuple(codec.point.name for codec in codecs)
                self._groups.append(_Group(names, protocol.plan(profile, codecs)))

    def read(self) -> tuple[dict[str, float | None], str | None]:
        """Read every group once: values by point (None where there is none), and what went wrong.

        TransportError when there is not even a connection.
        """
        values: dict[str, float | None] = dict.fromkeys(self._profile.points)
        failure: str | None = None
        for group in self._groups:
            try:
                answers = [
                    self._transport.read(self._unit, request, self._profile.transport.timeout_s)
                    for request in group.plan.requests
                ]
            except TransportError as error:
                if not error.connected:
                    raise
                failure = str(error)
                continue
            now = time.time()
            numbers, qualities = group.plan.decode(answers)
            for name, number, quality in zip(group.points, numbers, qualities, strict=True):
                value = float(number) if QUALITIES[quality] is Quality.OK else None
                values[name] = value
                self._columns[name].add(now, value, None)
        return values, failure

    def poll(self, duration_s: float, quickest_s: float, progress: Progress) -> None:
        """Read again and again, a few times in `quickest_s`, which is to be seen."""
        every_s = max(_FASTEST_POLL_S, quickest_s / 8.0)
        began = time.monotonic()
        following = began
        while (elapsed := time.monotonic() - began) < duration_s:
            self.read()
            progress(elapsed / duration_s)
            following = max(following + every_s, time.monotonic())
            time.sleep(max(0.0, following - time.monotonic()))

    def series(self) -> dict[str, Series]:
        """What `read` and `poll` saw, by point."""
        return {name: column.series() for name, column in self._columns.items()}

    def load(self, duration_s: float, progress: Progress) -> Load:
        """Ask back to back; the time of lost answers is not counted, until they are many."""
        requests: list[Any] = [r for group in self._groups for r in group.plan.requests]
        latencies: list[float] = []
        lost = refused = turn = 0
        began = time.monotonic()
        timeout_s = self._profile.transport.timeout_s
        while (
            lost < _MOST_LOST
            and (elapsed := time.monotonic() - began - lost * timeout_s) < duration_s
        ):
            request = requests[turn % len(requests)]
            turn += 1
            asked = time.monotonic()
            try:
                self._transport.read(self._unit, request, timeout_s)
                latencies.append(time.monotonic() - asked)
            except TransportError as error:
                refused += error.refused
                lost += not error.refused
            progress(elapsed / duration_s)
        return Load(time.monotonic() - began, np.asarray(latencies), lost, refused)


def unbounded_values(
    transport: Transport, profile: Profile, unit: int, timeout_s: float
) -> dict[str, float]:
    """What a device says now, by point and canonical, also where it leaves the profile's range."""
    points = {name: replace(p, range=None, accuracy=None) for name, p in profile.points.items()}
    limits = replace(profile.transport, timeout_s=timeout_s)
    reader = FastReader(transport, replace(profile, points=points, transport=limits), unit)
    try:
        values, _ = reader.read()
    except TransportError:
        return {}
    return {name: value for name, value in values.items() if value is not None}


def newest_values(series: Mapping[str, Series]) -> dict[str, float]:
    """The newest value of each series that has values."""
    known = {name: each.known().value for name, each in series.items()}
    return {name: float(values[-1]) for name, values in known.items() if len(values)}
