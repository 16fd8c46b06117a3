"""Limits of a reading: which of them it is beyond, and when it comes to be or stops being so.

The names are those of DMTF's Sensor schema. Critical is beyond caution: a value that is beyond both
counts as both, so that each can be cleared on its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

Level = Literal["UpperCritical", "UpperCaution", "LowerCaution", "LowerCritical"]
Severity = Literal["OK", "Warning", "Critical"]

LEVELS: Final[tuple[Level, ...]] = (
    "UpperCritical", "UpperCaution", "LowerCaution", "LowerCritical",
)  # fmt: skip
NONE_BEYOND: Final[frozenset[Level]] = frozenset()


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits in the reading's unit; None is no limit.

    A limit is passed by a value at it or beyond; it is passed back `hysteresis` inside it.
    """

    upper_critical: float | None = None
    upper_caution: float | None = None
    lower_caution: float | None = None
    lower_critical: float | None = None
    hysteresis: float = 0.0

    def known(self) -> Iterator[tuple[Level, float]]:
        """The limits that there are, by their names."""
        values = (self.upper_critical, self.upper_caution, self.lower_caution, self.lower_critical)
        for level, limit in zip(LEVELS, values, strict=True):
            if limit is not None:
                yield level, limit


class Crossing(NamedTuple):
    """A limit that was passed: beyond it (`begins`) or back inside."""

    level: Level
    limit: float
    begins: bool


def beyond(
    limits: Limits, value: float | None, before: frozenset[Level] = NONE_BEYOND
) -> frozenset[Level]:
    """The limits that `value` is beyond, after it was beyond `before`.

    Nothing is known of an unknown value: it neither passes a limit nor comes back.
    """
    if value is None:
        return before
    return frozenset(
        level
        for level, limit in limits.known()
        if _is_beyond(level, limit, value, limits.hysteresis if level in before else 0.0)
    )


def crossings(
    limits: Limits, before: frozenset[Level], after: frozenset[Level]
) -> tuple[Crossing, ...]:
    """What changed between two states, in the order of LEVELS."""
    return tuple(
        Crossing(level, limit, level in after)
        for level, limit in limits.known()
        if (level in before) != (level in after)
    )


def severity(levels: frozenset[Level]) -> Severity:
    """The health of a reading beyond these limits."""
    if levels & {"UpperCritical", "LowerCritical"}:
        return "Critical"
    return "Warning" if levels else "OK"


def _is_beyond(level: Level, limit: float, value: float, slack: float) -> bool:
    return value >= limit - slack if level.startswith("Upper") else value <= limit + slack
