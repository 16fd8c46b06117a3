"""Frames that were lost, found by the time stamps of those that came."""

from __future__ import annotations

import logging

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from drivers.errors import TransportError

HELD_BACK = 8
"""Frames that are looked at before one is placed: so many in a row are not all stamped late."""

_LOST = 0.75
"""From how many intervals on a lasting delay is a lost frame: jitter and drift stay below."""
_STEP_NS = 1_000_000_000
"""A clock that moves this far at once was set."""

_log = logging.getLogger(__name__)


class LossFinder:
    """Tells lost frames from late stamps.

    A stamp is taken after its sample, late by what held up the interrupt, never early. So frame k
    came at the least of (stamp − n·interval) over itself and the frames after it, and where that
    level rises by whole intervals and stays, frames are missing. A device's own rate may be off by
    percent: it moves the level by that part of an interval a frame.
    """

    def __init__(self, interval_ns: float, origin: str) -> None:
        self._interval_ns = interval_ns
        self._origin = origin
        self._taken = 0
        self._reference_ns: int | None = None
        self._level_ns: float | None = None
        self._usable = True

    def lost_before(self, stamps: NDArray[np.int64], count: int) -> NDArray[np.int64] | None:
        """Frames lost just before each of the first `count`; HELD_BACK more stamps must follow.

        None when the stamps do not tell frames apart. Raises TransportError when the clock that
        stamps was set.
        """
        if not self._usable:
            return None
        if not (np.diff(stamps) != 0).all():
            self._usable = False
            _log.warning(
                "%s: frames share their time stamp: lost ones cannot be found", self._origin
            )
            return None
        if self._reference_ns is None:
            self._reference_ns = int(stamps[0])
        numbers = self._taken + np.arange(len(stamps))
        late_ns = (stamps - self._reference_ns) - numbers * self._interval_ns
        levels = sliding_window_view(late_ns, HELD_BACK + 1).min(axis=1)[:count]
        before = levels[0] if self._level_ns is None else self._level_ns
        steps_ns = np.diff(levels, prepend=before)
        if (np.abs(steps_ns) >= _STEP_NS).any():
            worst = float(steps_ns[np.argmax(np.abs(steps_ns))])
            raise TransportError(f"{self._origin}: the time stamps step by {worst * 1e-9:.3g} s")
        self._taken += count
        self._level_ns = float(levels[-1])
        lost = np.rint(steps_ns / self._interval_ns)
        lost[steps_ns < _LOST * self._interval_ns] = 0
        return np.asarray(lost, dtype=np.int64)
