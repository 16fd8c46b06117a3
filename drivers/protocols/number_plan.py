"""How a group of points is fetched when a protocol's answers are plain numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.codec import PointCodec, Scaling
from drivers.errors import ProfileError
from drivers.profile_types import Profile

# What the values of one request are: one number a place, NaN where the device has none.
Numbers = Sequence[float]


class NumberPlan:
    """See GroupPlan: each request asks for some of the points; its answer has a number for each.

    `requests` pairs a request with the rows (in the order of `codecs`) that its numbers fill. NaN,
    infinity and the numbers of a point's `absent` mean that there is no value.
    """

    def __init__(
        self, codecs: Sequence[PointCodec], requests: Sequence[tuple[Any, Sequence[int]]]
    ) -> None:
        self.requests: tuple[Any, ...] = tuple(request for request, _ in requests)
        rows = [row for _, asked in requests for row in asked]
        # Where each point's number stands among all; None when they come in the points' order.
        self._order = None if rows == sorted(rows) else np.argsort(rows)
        self._scaling = Scaling(codecs)
        self._sentinels = [
            (row, number) for row, codec in enumerate(codecs) for number in codec.point.absent
        ]

    def decode(self, answers: Sequence[Numbers]) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """See GroupPlan."""
        return self._scaled(np.array(_joined(answers), np.float64))

    def decode_many(
        self, answers: Sequence[Sequence[Numbers]]
    ) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """As `decode`, for many devices at once: both arrays are (devices, points)."""
        return self._scaled(np.array([_joined(device) for device in answers], np.float64))

    def _scaled(self, raw: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        if self._order is not None:
            raw = raw[..., self._order]
        absent = ~np.isfinite(raw)
        for row, number in self._sentinels:
            absent[..., row] |= raw[..., row] == number
        return self._scaling.apply(raw, absent)


def _joined(answers: Sequence[Numbers]) -> list[float]:
    return [number for numbers in answers for number in numbers]


def in_batches(
    codecs: Sequence[PointCodec], size: int, ask: Callable[[Sequence[PointCodec]], Any]
) -> NumberPlan:
    """A plan of requests of at most `size` points each, in the points' order."""
    starts = range(0, len(codecs), size)
    return NumberPlan(
        codecs,
        [
            (ask(codecs[start : start + size]), range(start, min(start + size, len(codecs))))
            for start in starts
        ],
    )


def refuse_writes(profile: Profile, codecs: Sequence[PointCodec], protocol: str) -> None:
    """ProfileError for a writable point of a protocol that only reads."""
    for codec in codecs:
        if codec.point.write is not None:
            raise ProfileError(
                f"{profile.path}: points/{codec.point.name}/write: {protocol} is only read"
            )


def raw_number(codec: PointCodec, canonical: float) -> float:
    """What a device holds for a canonical value, before any rounding."""
    return (codec.to_device(canonical) - codec.point.offset) / codec.point.scale
