"""The newest samples of all devices of one profile, as arrays by device and point.

Answers are kept as they came and decoded later, all at once: when somebody reads, when the next
ones come, or after a tenth of a second. A poll that brings the same bytes again costs a comparison.

What is found out here, at each sample, about a value that the device itself calls good:
* out of range: it is outside the point's range;
* impossible: since the last believed value it moved faster than the point's `max_rate` allows for
  the time that passed. A single spike is so withheld, a true step is believed once time enough has
  passed for it;
* a cross-check of the profile does not hold: then no value of the device is believed.
A point out of range fails the checks that name it; an absent or stale one leaves their verdicts.
Staleness and stuck values are told when somebody reads, in `field_device`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from drivers.codec import ABSENT, OK, OUT_OF_RANGE, PointCodec
from drivers.cross_checks import CrossChecks
from drivers.profile_types import Profile
from drivers.protocol import DeviceProtocol, GroupPlan

# Answers wait at most this long to be decoded, while any device of the profile is polled.
_LONGEST_WAIT_S = 0.1
# Weight of the newest interval in the average of the observed refresh intervals.
_INTERVAL_WEIGHT = 0.25
_FIRST_ROWS = 4

_DecodeMany = Callable[[Sequence[Sequence[Any]]], tuple[NDArray[np.float64], NDArray[np.uint8]]]


class Sample(NamedTuple):
    """One point's newest sample; `wall` times are Unix seconds, the others monotonic.

    `quality` is a code of `codec.QUALITIES`, `interval_s` NaN until two changes were seen.
    `since` is when the value was first seen as it is; `doubted` is whether a check fails.
    """

    value: float
    quality: int
    measured_wall: float
    measured: float
    changed_wall: float
    since: float
    interval_s: float
    doubted: bool


@dataclass(slots=True)
class GroupColumns:
    """The points of one group: neighbouring columns of the table, fetched by one plan."""

    name: str
    plan: GroupPlan
    decode_many: _DecodeMany | None
    columns: slice
    rated: NDArray[np.intp]
    rates: NDArray[np.float64]
    pending: dict[int, tuple[Sequence[Any], float, float]] = field(default_factory=dict)
    last: dict[int, Sequence[Any]] = field(default_factory=dict)


class SampleTable:
    """Devices of one profile behind equal instrument transformers. Any thread may use it."""

    def __init__(
        self, profile: Profile, protocol: DeviceProtocol, ct_ratio: float, pt_ratio: float
    ) -> None:
        self.codecs = {
            name: PointCodec(point, ct_ratio, pt_ratio) for name, point in profile.points.items()
        }
        self.groups: list[GroupColumns] = []
        self.columns: dict[str, int] = {}
        for name in profile.groups:
            self._add_group(name, profile, protocol)
        self._group_numbers = [
            number for number, group in enumerate(self.groups) for _ in range(*_ends(group))
        ]
        self._group_of = np.array(self._group_numbers, np.intp)
        self._lock = threading.Lock()
        self._pending_since: float | None = None
        self._doubted: list[Callable[[str | None], None]] = []
        self._free: list[int] = []
        self._allocate(_FIRST_ROWS)
        self._checks = CrossChecks(profile.checks, self.codecs, self.columns)

    def _add_group(self, name: str, profile: Profile, protocol: DeviceProtocol) -> None:
        codecs = [codec for codec in self.codecs.values() if codec.point.group == name]
        if not codecs:
            return
        start = len(self.columns)
        self.columns |= {codec.point.name: start + k for k, codec in enumerate(codecs)}
        rates = [_max_rate(codec) for codec in codecs]
        rated = [k for k, rate in enumerate(rates) if rate is not None]
        plan = protocol.plan(profile, codecs)
        self.groups.append(
            GroupColumns(
                name,
                plan,
                getattr(plan, "decode_many", None),
                slice(start, start + len(codecs)),
                np.array(rated, np.intp),
                np.array([rates[k] for k in rated], np.float64),
            )
        )

    def _allocate(self, rows: int) -> None:
        """Room for so many devices; what is there is kept."""
        points, groups = len(self.columns), len(self.groups)
        old = len(self._doubted)

        def grown(name: str, width: int, fill: float, kind: type = np.float64) -> None:
            array: NDArray[Any] = np.full((rows, width), fill, kind)
            if old:
                array[:old] = getattr(self, name)
            setattr(self, name, array)

        self._values: NDArray[np.float64]
        self._qualities: NDArray[np.uint8]
        self._changed_wall: NDArray[np.float64]
        self._since: NDArray[np.float64]
        self._intervals: NDArray[np.float64]
        self._moved: NDArray[np.bool_]
        self._believed: NDArray[np.float64]
        self._believed_at: NDArray[np.float64]
        self._measured_wall: NDArray[np.float64]
        self._measured: NDArray[np.float64]
        self._stale_after: NDArray[np.float64]
        grown("_values", points, np.nan)
        grown("_qualities", points, ABSENT, np.uint8)
        for name in ("_changed_wall", "_since", "_intervals", "_believed", "_believed_at"):
            grown(name, points, np.nan)
        grown("_moved", points, 0, np.bool_)
        grown("_measured_wall", groups, np.nan)
        grown("_measured", groups, -np.inf)
        grown("_stale_after", groups, np.inf)
        self._free += range(rows - 1, old - 1, -1)
        self._doubted += [_nobody] * (rows - old)

    def add(self, stale_after_s: Sequence[float], doubted: Callable[[str | None], None]) -> int:
        """A row for one more device; `stale_after_s` by group.

        `doubted` is called with the text of the first check that fails, None when none does any
        more, from whichever thread finds it out.
        """
        with self._lock:
            if not self._free:
                self._allocate(2 * len(self._doubted))
            row = self._free.pop()
            self._doubted[row] = doubted
            self._stale_after[row] = stale_after_s
            self._checks.reset(row, len(self._doubted))
            return row

    def remove(self, row: int) -> None:
        """Forget a device; its row may go to another."""
        with self._lock:
            for group in self.groups:
                group.pending.pop(row, None)
                group.last.pop(row, None)
            self._values[row] = self._intervals[row] = np.nan
            self._believed[row] = np.nan
            self._moved[row] = False
            self._measured[row] = -np.inf
            self._doubted[row] = _nobody
            self._free.append(row)

    def accept(
        self, row: int, number: int, answers: Sequence[Any], wall: float, now: float
    ) -> None:
        """Take the answers of a poll of group `number`; `wall` Unix seconds, `now` monotonic."""
        group = self.groups[number]
        if group.decode_many is None:
            # Another's code may fail: it does so here, where it costs its own device only.
            answers = group.plan.decode(answers)
        with self._lock:
            if row in group.pending or (
                self._pending_since is not None and now - self._pending_since > _LONGEST_WAIT_S
            ):
                self._settle()
            if group.decode_many is not None and not group.rated.size:
                if group.last.get(row) == answers:
                    self._measured_wall[row, number] = wall
                    self._measured[row, number] = now
                    return
                group.last[row] = answers
            group.pending[row] = (answers, wall, now)
            if self._pending_since is None:
                self._pending_since = now

    def sample(self, row: int, column: int) -> Sample | None:
        """The newest sample of a point; None before the first."""
        with self._lock:
            # What waits for other devices is left: to decode it between any two reads is costly.
            for columns in self.groups:
                if row in columns.pending:
                    self._settle()
                    break
            group = self._group_numbers[column]
            measured = float(self._measured[row, group])
            if measured == -np.inf:
                return None
            return Sample(
                float(self._values[row, column]),
                int(self._qualities[row, column]),
                float(self._measured_wall[row, group]),
                measured,
                float(self._changed_wall[row, column]),
                float(self._since[row, column]),
                float(self._intervals[row, column]),
                self._checks.failing(row),
            )

    def verdicts(self, row: int) -> tuple[bool | None, ...]:
        """Whether each of the profile's checks holds on a device; None where that is not told."""
        with self._lock:
            self._settle()
            return self._checks.verdicts(row)

    def group_of(self, column: int) -> int:
        """The number of the group that a column belongs to."""
        return self._group_numbers[column]

    def settle(self) -> None:
        """Decode what waits for it."""
        with self._lock:
            self._settle()

    def _settle(self) -> None:
        if self._pending_since is None:
            return
        self._pending_since = None
        for number, group in enumerate(self.groups):
            if group.pending:
                waiting, group.pending = group.pending, {}
                self._take(number, group, waiting)

    def _take(
        self,
        number: int,
        group: GroupColumns,
        waiting: dict[int, tuple[Sequence[Any], float, float]],
    ) -> None:
        rows = np.fromiter(waiting, np.intp, len(waiting))
        answers = [entry[0] for entry in waiting.values()]
        wall = np.array([entry[1] for entry in waiting.values()])[:, None]
        now = np.array([entry[2] for entry in waiting.values()])[:, None]
        if group.decode_many is not None:
            values, qualities = group.decode_many(answers)
        else:
            values = np.array([decoded[0] for decoded in answers], np.float64)
            qualities = np.array([decoded[1] for decoded in answers], np.uint8)
        if group.rated.size:
            self._withhold_impossible(group, rows, values, qualities, now)
        at = (rows, group.columns)
        first = self._measured[rows, number] == -np.inf
        was = self._values[at]
        # NaN differs from itself: absent after absent is no change.
        differs = (values != was) & ~(np.isnan(values) & np.isnan(was))
        differs[first] = True
        self._note_intervals(at, differs, first, now)
        self._values[at] = values
        self._qualities[at] = qualities
        self._changed_wall[at] = np.where(differs, wall, self._changed_wall[at])
        self._since[at] = np.where(differs, now, self._since[at])
        self._measured_wall[rows, number] = wall[:, 0]
        self._measured[rows, number] = now[:, 0]
        if self._checks:
            self._review(rows, now)

    def _note_intervals(
        self, at: Any, differs: NDArray[np.bool_], first: NDArray[np.bool_], now: NDArray[Any]
    ) -> None:
        """Average the time between changes; a first value is none."""
        moved = self._moved[at]
        observed = np.where(moved, now - self._since[at], np.nan)
        was = self._intervals[at]
        smoothed = was + _INTERVAL_WEIGHT * (observed - was)
        smoothed = np.where(np.isnan(smoothed), observed, smoothed)
        self._intervals[at] = np.where(differs, smoothed, was)
        self._moved[at] = moved | (differs & ~first[:, None])

    def _withhold_impossible(
        self,
        group: GroupColumns,
        rows: NDArray[np.intp],
        values: NDArray[np.float64],
        qualities: NDArray[np.uint8],
        now: NDArray[np.float64],
    ) -> None:
        """Mark values that moved faster than they can since the last that was believed."""
        columns = group.columns.start + group.rated
        at = np.ix_(rows, columns)
        candidates = values[:, group.rated]
        elapsed = now - self._believed_at[at]
        # The first value has only NaN to be compared with: it is believed.
        too_fast = np.abs(candidates - self._believed[at]) > group.rates * elapsed
        good = (qualities[:, group.rated] == OK) & ~too_fast
        qualities[:, group.rated] = np.where(
            too_fast & (qualities[:, group.rated] == OK),
            np.uint8(OUT_OF_RANGE),
            qualities[:, group.rated],
        )
        self._believed[at] = np.where(good, candidates, self._believed[at])
        self._believed_at[at] = np.where(good, now, self._believed_at[at])

    def _review(self, rows: NDArray[np.intp], now: NDArray[np.float64]) -> None:
        fresh = now - self._measured[rows] <= self._stale_after[rows]
        known = fresh[:, self._group_of]
        for row in self._checks.review(rows, self._values[rows], self._qualities[rows], known):
            self._doubted[row](self._checks.doubt(row))


def _max_rate(codec: PointCodec) -> float | None:
    """In the canonical unit per second."""
    if codec.point.max_rate is None:
        return None
    return codec.point.max_rate * abs(codec.to_canonical(1.0) - codec.to_canonical(0.0))


def _ends(group: GroupColumns) -> tuple[int, int]:
    return group.columns.start, group.columns.stop


def _nobody(_text: str | None) -> None:
    """Stands for the device of a free row."""
