"""Judges reported changes of power by the noise-free power of the scenes that they came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from campus_load import Array, Scene

ALWAYS_W, THRESHOLD_W, NEVER_W = 55e6, 50e6, 45e6
SECOND_MS = 1000
AFTER_MS = 20  # the longest that a report may take
_REST_MS, _REST_W = 100, 3e6  # an event is over once the power moves by less in so many ms
_NEAR_S = 0.1


@dataclass(frozen=True)
class Report:
    """A change of power as it was reported, in s since the first sample."""

    onset_s: float
    detected_s: float
    change_w: float


@dataclass
class Verdict:
    """What was found over all scenes; onset errors and delays in ms."""

    required: int = 0
    missed: list[str] = field(default_factory=list)
    false: list[str] = field(default_factory=list)
    reports: int = 0
    step_ms: list[float] = field(default_factory=list)
    ramp_ms: list[float] = field(default_factory=list)
    delay_ms: list[float] = field(default_factory=list)

    def judge(self, scene: Scene, reports: Sequence[Report]) -> None:
        """Take in one scene with the reports whose detection lies in it."""
        self.reports += len(reports)
        # Two moments less than a second apart may be known at ms that are a second and one apart.
        widest_w = swing_within(scene.power_w, SECOND_MS + 1)
        for report in reports:
            at = int((report.detected_s - scene.start_s) * 1000)
            if widest_w[max(0, at - AFTER_MS) : at + 2].max() <= NEVER_W:
                self.false.append(f"{report} in the scene at {scene.start_s} s")
        for sign in (1, -1):
            self._judge_direction(scene, [r for r in reports if sign * r.change_w > 0], sign)
        self._judge_changes(scene, reports)

    def _judge_direction(self, scene: Scene, reports: Sequence[Report], sign: int) -> None:
        """Wherever the power moves that way by 55 MW within a second it is reported in time.

        An event that was reported counts no more once the power has come to rest: the next one
        in this direction is a change from there on, however soon it comes.
        """
        power_w, first = sign * scene.power_w, 0
        for report in reports:
            detected_ms = (report.detected_s - scene.start_s) * 1000
            rest = _rest_after(power_w, int(detected_ms))
            self._judge_stretch(
                scene, first, rise_within(power_w[first:rest], SECOND_MS), detected_ms
            )
            first = max(first, rest)
        self._judge_stretch(scene, first, rise_within(power_w[first:], SECOND_MS), None)

    def _judge_stretch(
        self, scene: Scene, first: int, rise_w: Array, detected_ms: float | None
    ) -> None:
        """From `first` ms until what was reported at `detected_ms`, if anything, is over."""
        above = np.concatenate([[False], rise_w >= THRESHOLD_W, [False]])
        starts = np.flatnonzero(above[1:] & ~above[:-1])
        ends = np.flatnonzero(~above[1:] & above[:-1])
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            crossed = first + start
            if rise_w[start:end].max() < ALWAYS_W:
                continue
            if detected_ms is not None and detected_ms < crossed - 2:
                continue  # it goes on
            self.required += 1
            if detected_ms is None or detected_ms > first + end + AFTER_MS:
                self.missed.append(
                    f"{crossed} … {first + end} ms of the scene at {scene.start_s} s"
                )
            else:
                self.delay_ms.append(detected_ms - crossed)

    def _judge_changes(self, scene: Scene, reports: Sequence[Report]) -> None:
        """A single change of 55 MW within a second has a report of its own, with its onset."""
        for change in scene.changes:
            if not change.is_single or change.duration_s > 1 or abs(change.size_w) < ALWAYS_W + 2e6:
                continue  # flicker and taps may take 2 MW of it
            near = [
                (report.onset_s - scene.start_s - change.start_s) * 1000
                for report in reports
                if report.change_w * change.size_w > 0
                and abs(report.onset_s - scene.start_s - change.start_s) < _NEAR_S
            ]
            self.required += 1
            if not near:
                self.missed.append(f"{change} of the scene at {scene.start_s} s")
                continue
            errors = self.step_ms if change.duration_s == 0 else self.ramp_ms
            errors.append(min(near, key=abs))

    def __str__(self) -> str:
        rows = [
            f"{self.required} required, {len(self.missed)} missed, "
            f"{self.reports} reported, {len(self.false)} false"
        ]
        for name, values in (
            ("onset of steps", self.step_ms),
            ("onset of ramps", self.ramp_ms),
            ("delay", self.delay_ms),
        ):
            if values:
                size = np.abs(values)
                rows.append(
                    f"{name}: worst {size.max():.2f} ms, p99 {np.percentile(size, 99):.2f} ms "
                    f"({len(values)})"
                )
        return "; ".join(rows)


def _rest_after(power_w: Array, at_ms: int) -> int:
    """The first ms from this one on at which a rise is over."""
    moved_w = power_w[_REST_MS:] - power_w[:-_REST_MS]
    from_ms = max(0, at_ms - _REST_MS)
    still = np.flatnonzero(moved_w[from_ms:] < _REST_W)
    return from_ms + int(still[0]) + _REST_MS if still.size else len(power_w)


def rise_within(power_w: Array, span_ms: int) -> Array:
    """How far each ms is above the lowest of the span before it."""
    lowest_w, width = power_w.copy(), 1
    while width <= span_ms:  # `lowest_w` is that of so many ms
        more = min(width, span_ms + 1 - width)
        lowest_w[more:] = np.minimum(lowest_w[more:], lowest_w[:-more])
        width += more
    return np.asarray(power_w - lowest_w)


def swing_within(power_w: Array, span_ms: int) -> Array:
    """The largest change that ends at each ms within the span before: max of |now - then|."""
    return np.maximum(rise_within(power_w, span_ms), rise_within(-power_w, span_ms))
