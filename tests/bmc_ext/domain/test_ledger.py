"""The ledger's step function, and the base load behind it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bmc_ext.domain.ledger import (
    BaseLoad,
    FreeCapacity,
    LimitStep,
    Reservation,
    Site,
    peak_reserved_w,
)

NOW_S = 1_800_000_000.0
SITE = Site(100e6, (LimitStep(NOW_S, 100e6),), 0.0, 0.0, 0.0)


def test_end_does_not_belong_to_a_reservation() -> None:
    """Of two reservations back to back one holds at a time."""
    pair = [Reservation(NOW_S, NOW_S + 10, 60e6, 0), Reservation(NOW_S + 10, NOW_S + 20, 60e6, 0)]
    assert FreeCapacity(SITE, pair, NOW_S).least(NOW_S, 20).power_w == 40e6
    assert peak_reserved_w(pair, NOW_S) == 60e6


def test_earliest_start_skips_gaps_that_are_too_short() -> None:
    """A gap shorter than the duration is no start; the first that is long enough is."""
    held = [
        Reservation(NOW_S, NOW_S + 10, 60e6, 0),
        Reservation(NOW_S + 15, NOW_S + 30, 60e6, 0),
    ]
    free = FreeCapacity(SITE, held, NOW_S)
    assert (
        free.earliest_start(50e6, 0, from_s=NOW_S, until_s=NOW_S + 99, duration_s=5) == NOW_S + 10
    )
    assert (
        free.earliest_start(50e6, 0, from_s=NOW_S, until_s=NOW_S + 99, duration_s=6) == NOW_S + 30
    )
    assert free.earliest_start(50e6, 0, from_s=NOW_S, until_s=NOW_S + 9, duration_s=5) is None
    assert free.earliest_start(101e6, 0, from_s=NOW_S, until_s=NOW_S + 99, duration_s=5) is None


def test_later_start_is_a_whole_second() -> None:
    """A start that the ledger proposes can be written in a message and read back the same."""
    free = FreeCapacity(SITE, [Reservation(NOW_S, NOW_S + 10.3, 60e6, 0)], NOW_S)
    start_s = free.earliest_start(50e6, 0, from_s=NOW_S, until_s=NOW_S + 99, duration_s=5)
    assert start_s == NOW_S + 11


def test_base_load_stays_while_a_workload_draws() -> None:
    """A workload's power is not mistaken for base load, and its end gives its power back."""
    base = BaseLoad()
    assert base.follow(88e6, 0.0) == 88e6
    assert base.follow(240e6, 159e6) == 88e6
    assert base.follow(120e6, 159e6) == 88e6
    assert base.follow(91e6, 0.0) == 91e6


def test_base_load_gives_way_to_what_is_measured() -> None:
    """More than the workloads may draw is base load; less than the base load is less base load."""
    base = BaseLoad(88e6)
    assert base.follow(260e6, 159e6) == 101e6
    assert base.follow(60e6, 159e6) == 60e6


def test_nothing_is_credited_that_was_not_seen() -> None:
    """After a start with running workloads all that is measured counts as base load."""
    assert BaseLoad().follow(240e6, 159e6) == 240e6


def test_estimate_teaches_nothing() -> None:
    """A feed counted at its rating raises the base load only for as long as it is unknown."""
    base = BaseLoad()
    base.follow(88e6, 0.0)
    base.follow(240e6, 159e6)
    assert base.assume(290e6) == 138e6
    assert base.assume(100e6) == 88e6
    assert base.follow(240e6, 159e6) == 88e6


@given(measured=st.lists(st.tuples(st.floats(0, 1e9), st.floats(0, 1e9)), min_size=1, max_size=20))
def test_base_load_lies_within_what_is_possible(measured: list[tuple[float, float]]) -> None:
    """The base load is never above the measurement, nor below it less the workloads' most."""
    base = BaseLoad()
    for measured_w, workloads_w in measured:
        value_w = base.follow(measured_w, workloads_w)
        assert measured_w - workloads_w <= value_w <= measured_w
