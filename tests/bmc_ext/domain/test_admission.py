"""The decision on an announcement: examples, and what must hold for all of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmc_ext.domain.admission import decide
from bmc_ext.domain.ledger import LimitStep, Reservation, Site, limit_at
from bmc_ext.domain.workload import Announcement, Decision

NOW_S = 1_800_000_000.0
CAMPUS = Site(
    rated_power_w=250e6,
    limits=(LimitStep(NOW_S, 250e6),),
    base_power_w=88e6,
    measured_power_w=88e6,
    cooling_overhead=0.06,
    base_heat_w=80e6,
    cooling_capacity_w=290e6,
    coolant_supply_c=30.0,
)
DRAFT = Announcement(
    "ai-training-job-12345",
    peak_power_w=180e6,
    baseline_power_w=20e6,
    heat_w=175e6,
    ramp_rate_w_per_s=45e6,
    start_s=NOW_S + 300,
    duration_s=3600,
    priority="high",
    can_delay=True,
    max_delay_s=300,
    can_throttle=True,
    min_power_w=90e6,
    preferred_coolant_c=65,
    max_silicon_c=85,
)

ALTERNATIVE_W = (250e6 - 1.02 * 88e6) / 1.06
"""What the empty campus offers: all that is free when the base load has drifted by 2 %."""


def reserved(start_s: float, end_s: float | None, power_w: float) -> Reservation:
    """A reservation whose heat is its power; times count from now."""
    end_s = None if end_s is None else NOW_S + end_s
    return Reservation(NOW_S + start_s, end_s, power_w, power_w)


def rigid(peak_w: float, **changes: object) -> Announcement:
    """A workload of one hour that can neither throttle nor wait, from now."""
    plain = Announcement("r", peak_w, 0.0, peak_w, start_s=NOW_S, duration_s=3600)
    return replace(plain, **changes)  # type: ignore[arg-type] # members by keyword


def test_draft_example_is_approved_with_conditions() -> None:
    """The draft's 180 MW where 162 MW are left are capped by power and cooling overhead."""
    decision = decide(DRAFT, CAMPUS, [], NOW_S)
    assert decision.status == "approved_with_conditions"
    assert decision.max_power_w == pytest.approx(152.83e6)
    assert decision.max_heat_w == pytest.approx(152.83e6 * 175 / 180)
    assert (decision.start_s, decision.end_s) == (NOW_S + 300, NOW_S + 3900)
    assert decision.reasons == ("peak power is above the remaining 152.83 MW",)


def test_what_fits_is_approved_as_announced() -> None:
    """Power and cooling in plenty give an approval at the start and the peak asked for."""
    decision = decide(replace(DRAFT, peak_power_w=100e6, heat_w=97e6), CAMPUS, [], NOW_S)
    assert (decision.status, decision.reasons) == ("approved", ())
    assert (decision.max_power_w, decision.max_heat_w) == (100e6, 97e6)


def test_cooling_limits_as_power_does() -> None:
    """Where cooling is the shorter of the two, the grant follows it in proportion."""
    site = replace(CAMPUS, cooling_capacity_w=80e6 + 140e6)
    decision = decide(DRAFT, site, [], NOW_S)
    assert decision.max_power_w == pytest.approx(140e6 * 180 / 175, abs=1e3)
    assert decision.max_heat_w == pytest.approx(140e6, abs=1e3)
    decision = decide(replace(DRAFT, peak_power_w=150e6, heat_w=150e6), site, [], NOW_S)
    assert decision.reasons == ("heat is above the remaining cooling of 140 MW",)


def test_below_its_minimum_nothing_is_granted() -> None:
    """A workload is never throttled below what it said it needs."""
    decision = decide(replace(DRAFT, min_power_w=160e6), CAMPUS, [], NOW_S)
    assert decision.status == "rejected"
    assert decision.max_power_w is None


def test_rigid_workload_waits_for_the_end_of_a_reservation() -> None:
    """What cannot throttle but can wait starts when another workload has ended."""
    wish = rigid(100e6, can_delay=True, max_delay_s=700)
    decision = decide(wish, CAMPUS, [reserved(-60, 600, 100e6)], NOW_S)
    assert decision.status == "approved_with_conditions"
    assert decision.start_s == NOW_S + 600
    assert decision.max_power_w == 100e6
    assert "it can start 600 s later" in decision.reasons


def test_delay_is_not_stretched() -> None:
    """A start later than the workload bears is an alternative, not an approval."""
    wish = rigid(100e6, can_delay=True, max_delay_s=500)
    decision = decide(wish, CAMPUS, [reserved(-60, 600, 100e6)], NOW_S)
    assert decision.status == "rejected"
    assert decision.alternative is not None
    assert decision.alternative.start_s == NOW_S + 600
    assert decision.alternative.max_power_w == 100e6


def test_later_reservation_counts_for_the_whole_interval() -> None:
    """The least free moment of the interval decides, not its first."""
    decision = decide(rigid(100e6), CAMPUS, [reserved(3000, 5000, 100e6)], NOW_S)
    assert decision.status == "rejected"
    shorter = rigid(100e6, duration_s=3000)
    assert decide(shorter, CAMPUS, [reserved(3000, 5000, 100e6)], NOW_S).status == "approved"


def test_open_ended_meets_every_later_reservation() -> None:
    """A workload without a duration must fit beside all that is promised later."""
    later = [reserved(1e6, 2e6, 100e6)]
    assert decide(rigid(100e6, duration_s=None), CAMPUS, later, NOW_S).status == "rejected"


def test_falling_import_limit_counts() -> None:
    """A limit that a grid signal lowers during the interval bounds the grant."""
    site = replace(CAMPUS, limits=(LimitStep(NOW_S, 250e6), LimitStep(NOW_S + 1000, 194e6)))
    decision = decide(DRAFT, site, [], NOW_S)
    assert decision.max_power_w == pytest.approx(100e6)


def test_no_start_means_now() -> None:
    """An announcement without a start begins now."""
    assert decide(rigid(1e6, start_s=None), CAMPUS, [], NOW_S).start_s == NOW_S


def test_late_start_within_tolerance_is_now() -> None:
    """A start half a minute ago is a matter of clocks and begins now."""
    assert decide(rigid(1e6, start_s=NOW_S - 30), CAMPUS, [], NOW_S).start_s == NOW_S


@pytest.mark.parametrize(
    ("start_s", "reason"),
    [(NOW_S - 90, "the start is in the past"), (NOW_S - 9000, "the announced time is over")],
)
def test_past_is_rejected_with_a_start_to_come(start_s: float, reason: str) -> None:
    """An announcement for the past is rejected; the alternative leaves a minute to announce it."""
    decision = decide(replace(DRAFT, start_s=start_s), CAMPUS, [], NOW_S)
    assert (decision.status, decision.reasons) == ("rejected", (reason,))
    assert decision.alternative is not None
    assert decision.alternative.start_s == NOW_S + 60
    assert decision.alternative.max_power_w == pytest.approx(ALTERNATIVE_W, abs=1000)


def test_larger_than_the_site_is_rejected_even_if_it_can_throttle() -> None:
    """A peak above the facility's rating is rejected, with what there is as the alternative."""
    decision = decide(replace(DRAFT, peak_power_w=400e6, heat_w=390e6), CAMPUS, [], NOW_S)
    assert decision.status == "rejected"
    assert decision.reasons == ("peak power 400 MW is above the facility's 250 MW",)
    assert decision.alternative is not None
    assert decision.alternative.start_s == NOW_S + 300
    assert decision.alternative.max_power_w == pytest.approx(ALTERNATIVE_W, abs=1000)


@pytest.mark.parametrize("can_throttle", [True, False])
def test_alternative_is_accepted_though_the_load_has_moved_meanwhile(can_throttle: bool) -> None:
    """An alternative leaves room for a base load that drifts by 2 % before it is announced."""
    wish = replace(rigid(400e6), can_throttle=can_throttle)
    alternative = decide(wish, CAMPUS, [], NOW_S).alternative
    assert alternative is not None
    peak_w = alternative.max_power_w
    again = replace(wish, peak_power_w=peak_w, heat_w=peak_w, start_s=alternative.start_s)
    moved = replace(CAMPUS, base_power_w=CAMPUS.base_power_w * 1.0199)
    assert decide(again, moved, [], NOW_S + 5).status == "approved"


def test_alternative_takes_what_there_is_where_the_drift_leaves_nothing() -> None:
    """Where less is free than the load may drift by, the alternative is all that is free now."""
    nearly_full = replace(CAMPUS, base_power_w=249e6)
    alternative = decide(rigid(10e6), nearly_full, [], NOW_S).alternative
    assert alternative is not None
    assert alternative.max_power_w == pytest.approx(1e6 / 1.06, abs=1000)


def test_no_alternative_where_there_is_never_any_power() -> None:
    """Where the base load leaves nothing for ever, no alternative is invented."""
    decision = decide(DRAFT, replace(CAMPUS, base_power_w=250e6), [], NOW_S)
    assert (decision.status, decision.alternative) == ("rejected", None)


def test_no_cooling_loop_is_no_limit() -> None:
    """Without a configured loop heat is no limit, and the cooling available is unknown."""
    site = replace(CAMPUS, cooling_capacity_w=None, coolant_supply_c=None)
    decision = decide(replace(DRAFT, peak_power_w=100e6), site, [], NOW_S)
    assert (decision.status, decision.cooling_available_w) == ("approved", None)


def test_coolant_warmer_than_preferred_is_a_condition() -> None:
    """A preference that the coolant cannot meet turns an approval into one with conditions."""
    wish = rigid(1e6, preferred_coolant_c=12.0)
    decision = decide(wish, CAMPUS, [], NOW_S)
    assert decision.status == "approved_with_conditions"
    assert decision.reasons == ("the coolant comes at 30.0 °C, not at 12 °C",)


def test_notes_of_announcement_and_site_are_told() -> None:
    """What was ignored, and what was counted at its rating, stands in the reasons."""
    site = replace(CAMPUS, notes=("feed 2 counted at its rating",))
    decision = decide(rigid(1e6, notes=("priority is malformed: ignored",)), site, [], NOW_S)
    assert decision.reasons == ("priority is malformed: ignored", "feed 2 counted at its rating")


def test_largest_float_is_decided() -> None:
    """A peak at the end of the floats is rejected like any other that is too large."""
    decision = decide(rigid(1.7e308), CAMPUS, [], NOW_S)
    assert decision.status == "rejected"
    assert decision.alternative is not None


MEGAWATTS = st.integers(0, 300).map(lambda mw: mw * 1e6) | st.floats(0, 300e6)
SECONDS = st.integers(0, 5000).map(float) | st.floats(0, 5000)


@st.composite
def sites(draw: st.DrawFn) -> Site:
    """Facilities with steps in their import limit, some without cooling loops."""
    rated_w = draw(st.floats(1e6, 300e6))
    steps = draw(st.lists(st.tuples(SECONDS, st.floats(0, 1)), max_size=3))
    limits = {NOW_S: rated_w} | {NOW_S + at_s: rated_w * share for at_s, share in steps}
    base_w = rated_w * draw(st.floats(0, 1.1))
    return Site(
        rated_power_w=rated_w,
        limits=tuple(LimitStep(at_s, limit_w) for at_s, limit_w in sorted(limits.items())),
        base_power_w=base_w,
        measured_power_w=base_w,
        cooling_overhead=draw(st.floats(0, 0.5)),
        base_heat_w=draw(st.floats(0, 100e6)),
        cooling_capacity_w=draw(st.none() | st.floats(0, 400e6)),
        coolant_supply_c=30.0,
    )


@st.composite
def announcements(draw: st.DrawFn) -> Announcement:
    """Announcements as the message layer makes them: nothing above the peak."""
    peak_w = draw(MEGAWATTS)
    can_throttle = draw(st.booleans())
    return Announcement(
        workload_id="w",
        peak_power_w=peak_w,
        baseline_power_w=peak_w * draw(st.floats(0, 1)),
        heat_w=peak_w * draw(st.floats(0, 1)),
        start_s=draw(st.none() | SECONDS.map(lambda at_s: NOW_S + at_s - 500)),
        duration_s=draw(st.none() | st.integers(1, 3000).map(float)),
        can_delay=draw(st.booleans()),
        max_delay_s=draw(SECONDS),
        can_throttle=can_throttle,
        min_power_w=peak_w * draw(st.floats(0, 1)) if can_throttle else 0.0,
        preferred_coolant_c=draw(st.none() | st.floats(10, 60)),
    )


def book(site: Site, wishes: list[Announcement]) -> list[Reservation]:
    """The reservations that these announcements get, one after the other."""
    ledger: list[Reservation] = []
    for wish in wishes:
        held = decide(wish, site, ledger, NOW_S).reservation
        if held is not None:
            ledger.append(held)
    return ledger


@settings(max_examples=150, deadline=None)
@given(site=sites(), wishes=st.lists(announcements(), max_size=8))
def test_approved_power_never_exceeds_the_limit(site: Site, wishes: list[Announcement]) -> None:
    """At no moment do base load and approved workloads exceed the import limit or the cooling."""
    ledger = book(site, wishes)
    moments = {r.start_s for r in ledger} | {s.from_s for s in site.limits}
    for moment_s in moments:
        held = [r for r in ledger if r.holds_at(moment_s) and r.power_w > 0]
        if not held:
            continue
        power_w = sum(r.power_w for r in held) * (1 + site.cooling_overhead)
        assert site.base_power_w + power_w <= limit_at(site.limits, moment_s) + 2.0
        if site.cooling_capacity_w is not None:
            heat_w = site.base_heat_w + sum(r.heat_w for r in held)
            assert heat_w <= site.cooling_capacity_w + 2.0


@settings(max_examples=300, deadline=None)
@given(
    site=sites(),
    wishes=st.lists(announcements(), max_size=5),
    wish=announcements(),
    scaled=st.booleans(),
    wait_s=st.floats(0, 59),
)
def test_alternative_would_be_accepted(
    site: Site, wishes: list[Announcement], wish: Announcement, scaled: bool, wait_s: float
) -> None:
    """Announced again within a minute as the alternative says, a workload is approved."""
    ledger = book(site, wishes)
    decision = decide(wish, site, ledger, NOW_S)
    if decision.alternative is None:
        return
    assert decision.status == "rejected"
    peak_w = decision.alternative.max_power_w
    heat_w = wish.heat_w * peak_w / wish.peak_power_w if scaled else min(wish.heat_w, peak_w)
    again = replace(
        wish,
        start_s=decision.alternative.start_s,
        peak_power_w=peak_w,
        heat_w=heat_w,
        min_power_w=min(wish.min_power_w, peak_w),
    )
    # A start that was to be now moves with the clock; nothing else has changed meanwhile.
    later_s = NOW_S + wait_s if decision.alternative.start_s > NOW_S + wait_s else NOW_S
    assert decide(again, site, ledger, later_s).status != "rejected"


RANK = {"rejected": 0, "approved_with_conditions": 1, "approved": 2}


@settings(max_examples=200, deadline=None)
@given(
    site=sites(),
    wishes=st.lists(announcements(), max_size=4),
    wish=announcements(),
    less_w=st.floats(0, 100e6),
)
def test_less_free_power_never_gives_more(
    site: Site, wishes: list[Announcement], wish: Announcement, less_w: float
) -> None:
    """With less free power no status is better, no start earlier, no grant at a start higher."""
    ledger = book(site, wishes)
    rich = decide(wish, site, ledger, NOW_S)
    poor = decide(wish, replace(site, base_power_w=site.base_power_w + less_w), ledger, NOW_S)
    assert RANK[poor.status] <= RANK[rich.status]
    assert poor.power_available_w <= rich.power_available_w + 1e-3
    if poor.start_s is not None and rich.start_s is not None:
        assert poor.start_s >= rich.start_s
        if poor.start_s == rich.start_s:
            assert granted(poor) <= granted(rich) + 1e-3


def granted(decision: Decision) -> float:
    """The granted maximum in W."""
    assert decision.max_power_w is not None
    return decision.max_power_w


@settings(max_examples=200, deadline=None)
@given(site=sites(), wishes=st.lists(announcements(), max_size=4), wish=announcements())
def test_grant_keeps_to_what_was_asked_for(
    site: Site, wishes: list[Announcement], wish: Announcement
) -> None:
    """A grant is never above the peak, below the minimum, before the start or beyond the delay."""
    decision = decide(wish, site, book(site, wishes), NOW_S)
    if decision.start_s is None:
        return
    wanted_s = max(NOW_S, wish.start_s if wish.start_s is not None else NOW_S)
    delay_s = wish.max_delay_s if wish.can_delay else 0.0
    assert wanted_s <= decision.start_s <= wanted_s + delay_s
    floor_w = wish.min_power_w if wish.can_throttle else wish.peak_power_w
    assert floor_w <= granted(decision) <= wish.peak_power_w
    if decision.status == "approved":
        assert (decision.start_s, granted(decision)) == (wanted_s, wish.peak_power_w)
