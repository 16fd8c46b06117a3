"""Judges reported changes of power by the noise-free power of the scenes that they came from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from campus_load import Array, Scene

ALWAYS_W, THRESHOLD_W, NEVER_W = 55e6, 50e6, 45e6
SECOND_MS = 1000
AFTER_MS = 20  # the longest that a report may take
_APART_S = 0.15  # changes closer than this may be one event
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
        swing_w = swing_within(scene.power_w, SECOND_MS)
        # Two moments less than a second apart may be known at ms that are a second and one apart.
        widest_w = swing_within(scene.power_w, SECOND_MS + 1)
        for report in reports:
            at = int((report.detected_s - scene.start_s) * 1000)
            if widest_w[max(0, at - AFTER_MS) : at + 2].max() <= NEVER_W:
                self.false.append(f"{report} in the scene at {scene.start_s} s")
        self._judge_intervals(scene, reports, swing_w)
        self._judge_changes(scene, reports)

    def _judge_intervals(self, scene: Scene, reports: Sequence[Report], swing_w: Array) -> None:
        """Wherever the power changes by 55 MW within a second, something is reported in time."""
        above = np.concatenate([[False], swing_w >= ALWAYS_W, [False]])
        starts, ends = (
            np.flatnonzero(above[1:] & ~above[:-1]),
            np.flatnonzero(~above[1:] & above[:-1]),
        )
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            crossed = start
            while crossed > 0 and swing_w[crossed - 1] >= THRESHOLD_W:
                crossed -= 1
            self.required += 1
            found = [
                report
                for report in reports
                if crossed - SECOND_MS
                <= (report.detected_s - scene.start_s) * 1000
                <= end + AFTER_MS
            ]
            if not found:
                self.missed.append(f"{start} … {end} ms of the scene at {scene.start_s} s")
            within = [(r.detected_s - scene.start_s) * 1000 - crossed for r in found]
            self.delay_ms += [delay for delay in within if delay >= -2][:1]

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


def swing_within(power_w: Array, span_ms: int) -> Array:
    """The largest change that ends at each ms within the span before: max of |now - then|."""
    padded = np.concatenate([np.full(span_ms, power_w[0]), power_w])
    windows = np.lib.stride_tricks.sliding_window_view(padded, span_ms + 1)
    return np.asarray(np.maximum(windows.max(axis=1) - power_w, power_w - windows.min(axis=1)))
