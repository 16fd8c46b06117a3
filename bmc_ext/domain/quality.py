"""The quality of a result that comes from several."""

from __future__ import annotations

from collections.abc import Sequence

from drivers.reading import Quality

_SEVERITY = (
    Quality.OK,
    Quality.STALE,
    Quality.OUT_OF_RANGE,
    Quality.ABSENT,
    Quality.COMM_ERROR,
)


def worst_quality(qualities: Sequence[Quality]) -> Quality:
    """The quality that a result inherits from its parts; ABSENT when there are none."""
    return max(qualities, key=_SEVERITY.index, default=Quality.ABSENT)


def best_quality(qualities: Sequence[Quality]) -> Quality:
    """The quality of the best of several for the same thing; ABSENT when there are none."""
    return min(qualities, key=_SEVERITY.index, default=Quality.ABSENT)
