"""Plots as inline SVG: no script, colours from the page's style sheet, sharp at any size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from drivers.check.series import FloatArray

_WIDTH, _HEIGHT = 640, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 10, 38
# More points than this do not show: each column of pixels keeps its lowest and highest.
_MOST_POINTS = 700
_TICKS = 5


@dataclass(frozen=True, slots=True)
class Trace:
    """One curve, arrays of shape (n,): `style` is a class of the style sheet, `dots` not a line."""

    x: FloatArray
    y: FloatArray
    label: str
    style: str
    dots: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A horizontal line, such as a limit."""

    y: float
    label: str


def plot(title: str, x_label: str, y_label: str, traces: Sequence[Trace],
         marks: Sequence[Mark] = ()) -> str:  # fmt: skip
    """A figure; "" when there is nothing to show. Not finite samples are left out."""
    kept = [_finite(trace) for trace in traces]
    kept = [trace for trace in kept if len(trace.x)]
    if not kept:
        return ""
    x = _Axis.over([trace.x for trace in kept], _LEFT, _WIDTH - _RIGHT)
    heights = [*(trace.y for trace in kept), np.array([mark.y for mark in marks])]
    y = _Axis.over(heights, _HEIGHT - _BOTTOM, _TOP)
    parts = [
        f'<figure><figcaption>{escape(title)}</figcaption><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'role="img" aria-label="{escape(title)}">',
        *_grid(x, y, x_label, y_label),
        *(_mark(mark, y) for mark in marks),
        *(_dots(trace, x, y) if trace.dots else _line(trace, x, y) for trace in kept),
        "</svg>",
        _legend(kept, marks),
        "</figure>",
    ]
    return "".join(parts)


@dataclass(frozen=True, slots=True)
class _Axis:
    """Values `low` to `high` on pixels `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def over(cls, arrays: Sequence[FloatArray], start: float, end: float) -> _Axis:
        values = np.concatenate(arrays)
        low, high = float(values.min()), float(values.max())
        margin = 0.04 * (high - low) or 0.01 * abs(high) or 1.0
        return cls(low - margin, high + margin, start, end)

    def pixel(self, value: FloatArray | float) -> FloatArray:
        share = (np.asarray(value) - self.low) / (self.high - self.low)
        return np.asarray(self.start + share * (self.end - self.start))

    def ticks(self) -> list[float]:
        """Round numbers, a few."""
        rough = (self.high - self.low) / _TICKS
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
        first = math.ceil(self.low / step)
        return [step * k for k in range(first, math.floor(self.high / step) + 1)]

    def text(self, tick: float) -> str:
        step = (self.high - self.low) / _TICKS
        digits = max(0, math.ceil(-math.log10(step)) + (step < 1))
        size = max(abs(self.low), abs(self.high))
        return f"{tick:.4g}" if size >= 1e6 or size < 1e-4 else f"{tick:.{min(digits, 6)}f}"


def _finite(trace: Trace) -> Trace:
    good = np.isfinite(trace.x) & np.isfinite(trace.y)
    x, y = trace.x[good], trace.y[good]
    if len(x) > _MOST_POINTS:
        keep = _extremes(y)
        x, y = x[keep], y[keep]
    return Trace(x, y, trace.label, trace.style, trace.dots)


def _extremes(y: FloatArray) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Where the lowest and the highest of each part stand, in order."""
    parts = np.array_split(np.arange(len(y)), _MOST_POINTS // 2)
    ends = {int(part[pick(y[part])]) for part in parts for pick in (np.argmin, np.argmax)}
    return np.array(sorted(ends), np.intp)


def _grid(x: _Axis, y: _Axis, x_label: str, y_label: str) -> list[str]:
    left, right, top, bottom = _LEFT, _WIDTH - _RIGHT, _TOP, _HEIGHT - _BOTTOM
    parts = []
    for tick in y.ticks():
        at = float(y.pixel(tick))
        parts.append(f'<path class="grid" d="M{left} {at:.1f}H{right}"/>')
        parts.append(f'<text x="{left - 6}" y="{at + 4:.1f}" class="end">{y.text(tick)}</text>')
    for tick in x.ticks():
        at = float(x.pixel(tick))
        parts.append(f'<path class="grid" d="M{at:.1f} {top}V{bottom}"/>')
        parts.append(f'<text x="{at:.1f}" y="{bottom + 15}" class="middle">{x.text(tick)}</text>')
    parts.append(
        f'<text x="{(left + right) / 2}" y="{_HEIGHT - 4}" class="middle">{escape(x_label)}</text>'
        f'<text class="middle" transform="translate(12 {(top + bottom) / 2}) rotate(-90)">'
        f"{escape(y_label)}</text>"
    )
    return parts


def _line(trace: Trace, x: _Axis, y: _Axis) -> str:
    points = zip(x.pixel(trace.x), y.pixel(trace.y), strict=True)
    path = "L".join(f"{px:.1f} {py:.1f}" for px, py in points)
    return f'<path class="line {trace.style}" d="M{path}"/>'


def _dots(trace: Trace, x: _Axis, y: _Axis) -> str:
    points = zip(x.pixel(trace.x), y.pixel(trace.y), strict=True)
    path = "".join(f"M{px:.1f} {py:.1f}h0" for px, py in points)
    return f'<path class="dots {trace.style}" d="{path}"/>'


def _mark(mark: Mark, y: _Axis) -> str:
    return f'<path class="limit" d="M{_LEFT} {float(y.pixel(mark.y)):.1f}H{_WIDTH - _RIGHT}"/>'


def _legend(traces: Sequence[Trace], marks: Sequence[Mark]) -> str:
    entries = [(trace.style, trace.label) for trace in traces]
    entries += [("limit", label) for label in dict.fromkeys(mark.label for mark in marks)]
    shown = "".join(f'<span class="key {style}">{escape(label)}</span>' for style, label in entries)
    return f'<div class="legend">{shown}</div>'
