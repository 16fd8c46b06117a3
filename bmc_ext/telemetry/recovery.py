"""After a crash: what the ring holds beyond the last commit of the history."""

from __future__ import annotations

import numpy as np

from bmc_ext.telemetry.aggregates import WINDOWS_PER_SECOND
from bmc_ext.telemetry.record import WindowRecord
from bmc_ext.telemetry.ring import Ring, record_of


def unwritten(ring: Ring, committed_window: int | None) -> list[WindowRecord]:
    """Records to take into the history again, in the order of writing.

    Those written after `committed_window`, and its own and the previous second before it, which
    may not have been whole; a second that was is not harmed by being written again. All of them
    when nothing was ever committed.
    """
    records = ring.read()
    if committed_window is None:
        return [record_of(row) for row in records]
    found = np.flatnonzero(records["window_id"] == committed_window)
    if len(found):
        # By the order of writing: window ids repeat when the clock was set back.
        first = max(0, int(found[-1]) - 2 * WINDOWS_PER_SECOND)
        return [record_of(row) for row in records[first:]]
    return [record_of(row) for row in records if row["window_id"] > committed_window]


def larger(first: float | None, second: float | None) -> float | None:
    """The larger of two running totals; the known one when one is unknown."""
    if first is None or second is None:
        return second if first is None else first
    return max(first, second)
