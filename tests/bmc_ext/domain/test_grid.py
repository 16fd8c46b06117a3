"""Import limits, stability, demand response and flexibility."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bmc_ext.domain.grid import (
    DemandResponse,
    GridEvent,
    GridSignal,
    Throttleable,
    active_reduction_w,
    caps,
    conditions,
    decide_demand_response,
    flexibility_down_w,
    grid_frequency_hz,
    import_limits,
    stability_of_frequency,
)
from bmc_ext.domain.ledger import LimitStep, limit_at

NOW_S = 1_800_000_000.0
HOUR_S = 3600.0
REQUEST = DemandResponse("dr-1", "load_reduction", NOW_S + HOUR_S, 2 * HOUR_S, 10e6)
TRAINING = Throttleable("t", NOW_S - 60, NOW_S + 10 * HOUR_S, 150e6, 90e6)


def decided(
    request: DemandResponse,
    *events: GridEvent,
    workloads: list[Throttleable] | None = None,
    measured_power_w: float = 240e6,
    now_s: float = NOW_S,
) -> GridEvent:
    """The decision on a request beside these events."""
    return decide_demand_response(
        request,
        events=events,
        workloads=[TRAINING] if workloads is None else workloads,
        measured_power_w=measured_power_w,
        now_s=now_s,
    )


@pytest.mark.parametrize(
    ("frequency_hz", "stability"),
    [
        (50.0, "normal"), (49.81, "normal"), (50.19, "normal"), (49.7, "stressed"),
        (50.45, "stressed"), (49.4, "emergency"), (51.0, "emergency"),
        (60.1, "normal"), (59.6, "stressed"), (59.0, "emergency"), (None, None),
    ],
)  # fmt: skip
def test_stability_follows_the_frequency(frequency_hz: float | None, stability: str | None) -> None:
    """±0.2 Hz is normal, ±0.5 Hz stressed, beyond it is an emergency; unknown stays unknown."""
    assert stability_of_frequency(frequency_hz) == stability


def test_frequency_of_the_grid_is_the_median_of_the_feeds() -> None:
    """One feed that reads nonsense does not decide the grid's frequency."""
    assert grid_frequency_hz([50.01, None, 50.02, 65.0]) == 50.02
    assert grid_frequency_hz([None]) is None


def test_worse_of_signal_and_frequency_counts() -> None:
    """A calm signal does not hide a bad frequency, nor a calm frequency a bad signal."""
    calm = GridSignal("a", NOW_S, stability="normal")
    bad = GridSignal("b", NOW_S + 1, stability="emergency")
    assert conditions([calm], 49.6, NOW_S + 2).stability == "stressed"
    assert conditions([calm, bad], 50.0, NOW_S + 2).stability == "emergency"
    assert conditions([], None, NOW_S).stability is None


def test_newest_signal_that_has_the_member_counts_until_it_expires() -> None:
    """What a newer signal leaves out stays as it was; what has expired is forgotten."""
    old = GridSignal("a", NOW_S, price_per_mwh=50.0, carbon_intensity_g_per_kwh=300.0)
    new = GridSignal("b", NOW_S + 1, price_per_mwh=-5.0, valid_until_s=NOW_S + 100)
    during, after = (
        conditions([old, new], None, NOW_S + 2),
        conditions([old, new], None, NOW_S + 200),
    )
    assert (during.price_per_mwh, during.carbon_intensity_g_per_kwh) == (-5.0, 300.0)
    assert after.price_per_mwh == 50.0
    assert during.green_energy_available is None


def test_limit_is_the_least_of_contract_signal_and_event() -> None:
    """The import limit steps with signals and events, and never above the contract."""
    signal = GridSignal("s", NOW_S, import_limit_w=200e6, valid_until_s=NOW_S + 2 * HOUR_S)
    event = GridEvent(REQUEST, True, (), reference_power_w=180e6)
    limits = import_limits(250e6, [signal], [event], NOW_S)
    assert limits == (
        LimitStep(NOW_S, 200e6),
        LimitStep(NOW_S + HOUR_S, 170e6),
        LimitStep(NOW_S + 2 * HOUR_S, 170e6),
        LimitStep(NOW_S + 3 * HOUR_S, 250e6),
    )
    assert limit_at(limits, NOW_S + 1.5 * HOUR_S) == 170e6
    high = GridSignal("s", NOW_S, import_limit_w=900e6)
    assert import_limits(250e6, [high], [], NOW_S) == (LimitStep(NOW_S, 250e6),)


def test_refused_event_limits_nothing() -> None:
    """An event that was refused leaves the limit alone."""
    event = GridEvent(REQUEST, False, ("no",), reference_power_w=180e6)
    assert import_limits(250e6, [], [event], NOW_S) == (LimitStep(NOW_S, 250e6),)


def test_reduction_within_the_flexibility_is_accepted() -> None:
    """A running workload that can give up 60 MW carries a reduction of 10 MW."""
    event = decided(REQUEST)
    assert (event.accepted, event.reasons, event.reference_power_w) == (True, (), 240e6)
    assert [event.state(NOW_S + h * HOUR_S) for h in (0, 1, 2.9, 3)] == [
        "scheduled", "active", "active", "completed",
    ]  # fmt: skip


def test_draft_example_is_refused_with_the_number() -> None:
    """The draft's 75 MW are more than the 60 MW that the running workload can give up."""
    event = decided(replace(REQUEST, target_reduction_w=75e6))
    assert event.reasons == ("the reduction of 75 MW is above the 60 MW that can be given up",)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"event_type": "load_increase"},
            "event_type 'load_increase' is not offered; load_reduction is",
        ),
        ({"duration_s": 0.0}, "the duration is not above 0"),
        ({"start_s": NOW_S - 3 * HOUR_S}, "the event is over"),
        ({"start_s": NOW_S - HOUR_S}, "the start is in the past"),
        ({"target_reduction_w": None}, "target_reduction_mw is missing or not above 0"),
        ({"target_reduction_w": 0.0}, "target_reduction_mw is missing or not above 0"),
        ({"duration_s": math.inf}, "the event has no end that can be written"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_reason(
    change: dict[str, object], reason: str
) -> None:
    """Other event types, no duration, the past and no reduction are refused, each by its reason."""
    event = decided(replace(REQUEST, **change))  # type: ignore[arg-type] # members by keyword
    assert (event.accepted, event.reasons) == (False, (reason,))


def test_overlapping_events_add_up() -> None:
    """What is promised to one event is not promised again to another at the same time."""
    first = decided(replace(REQUEST, target_reduction_w=40e6))
    second = replace(REQUEST, event_id="dr-2", start_s=NOW_S + 2 * HOUR_S, target_reduction_w=30e6)
    assert not decided(second, first).accepted
    both = decided(replace(second, target_reduction_w=20e6), first)
    assert both.accepted
    assert active_reduction_w([first, both], NOW_S + 2.5 * HOUR_S) == 60e6
    assert limit_at(import_limits(250e6, [], [first, both], NOW_S), NOW_S + 2.5 * HOUR_S) == 180e6
    assert decided(replace(second, start_s=NOW_S + 3 * HOUR_S), first).accepted


def test_an_event_counts_from_what_would_flow_without_those_in_force() -> None:
    """An import that an event has lowered already is not lowered by it a second time."""
    first = decided(replace(REQUEST, start_s=NOW_S, target_reduction_w=40e6))
    request = replace(REQUEST, event_id="dr-2", start_s=NOW_S + 60, target_reduction_w=20e6)
    second = decided(request, first, measured_power_w=200e6, now_s=NOW_S + 60)
    assert second.accepted
    assert limit_at(import_limits(250e6, [], [first, second], NOW_S), NOW_S + 61) == 180e6


def test_flexibility_counts_only_what_runs() -> None:
    """A workload that has not begun, or has ended, gives up nothing."""
    assert flexibility_down_w([TRAINING], NOW_S) == 60e6
    assert flexibility_down_w([TRAINING], NOW_S - 120) == 0.0
    assert not decided(REQUEST, workloads=[replace(TRAINING, end_s=NOW_S + 60)]).accepted


WORKLOADS = st.lists(
    st.tuples(st.floats(0, 100e6), st.floats(0, 1)), max_size=6
).map(
    lambda drawn: [
        Throttleable(f"w{index}", NOW_S, None, max_w, max_w * share)
        for index, (max_w, share) in enumerate(drawn)
    ]
)  # fmt: skip


@given(workloads=WORKLOADS, reduction_w=st.floats(0, 300e6))
def test_caps_give_up_what_is_asked_for_and_never_more_than_can_be(
    workloads: list[Throttleable], reduction_w: float
) -> None:
    """Caps stay between minimum and maximum and together give up min(reduction, flexibility)."""
    found = caps(workloads, reduction_w, NOW_S)
    given_up_w = 0.0
    for workload in workloads:
        cap_w = found.get(workload.workload_id, workload.max_power_w)
        assert workload.min_power_w - 1e-3 <= cap_w <= workload.max_power_w
        given_up_w += workload.max_power_w - cap_w
    assert given_up_w == pytest.approx(
        min(reduction_w, flexibility_down_w(workloads, NOW_S)), abs=1.0
    )


def test_no_reduction_no_caps() -> None:
    """Without an event nothing is capped."""
    assert caps([TRAINING], 0.0, NOW_S) == {}
