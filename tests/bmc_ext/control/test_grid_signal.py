"""The grid operator's messages through the command path, and what they do to workloads."""

from __future__ import annotations

from typing import Any

import pytest

from bmc_ext.clock import iso8601
from bmc_ext.errors import ConflictError, MessageError
from bmc_ext.messages.grid import grid_status
from schemas import validator

NO_OFFER = "while the signal holds, no new workload gets power above its limit"


def test_reduction_caps_the_workloads_and_gives_back(bench: Any) -> None:
    """An accepted event caps what runs from its start to its end, and shows in the status."""
    bench.train("t", 100, 40)
    bench.train("u", 40, 20)
    body = bench.signal(bench.demand_response("dr-1", target_reduction_mw=20))
    assert (body["status"], body["reasons"], body["signal_id"]) == ("accepted", [], "dr-1")
    assert body["event"]["state"] == "scheduled"
    validator("messages/grid_signal_response").validate(body)
    bench.tick(1)
    assert bench.sink.orders["t"].max_power_w == 100e6
    assert bench.commands.grid_status().flexibility_down_w == pytest.approx(80e6)
    bench.tick(60)
    assert bench.sink.orders["t"].max_power_w == pytest.approx(85e6)
    assert bench.sink.orders["u"].max_power_w == pytest.approx(35e6)
    assert bench.commands.workload("t").max_power_w == pytest.approx(85e6)
    status = bench.commands.grid_status()
    assert status.events[0].state == "active"
    assert status.flexibility_down_w == pytest.approx(60e6)
    bench.tick(7200)
    assert bench.sink.orders["t"].max_power_w == 100e6
    assert bench.commands.grid_status().events == ()
    events = [entry["event"] for entry in bench.audit_entries()]
    assert events.count("grid.cap.planned") == events.count("grid.cap.done") == 2


def test_caps_hold_across_a_restart(bench: Any) -> None:
    """A restart in the middle of an event keeps the event and its caps."""
    bench.train()
    bench.signal(bench.demand_response("dr-1"))
    bench.tick(61)
    bench.restart()
    bench.tick(1)
    assert bench.commands.workload("t").max_power_w == pytest.approx(90e6)
    assert [event.event_id for event in bench.commands.grid_status().events] == ["dr-1"]


def test_draft_reduction_is_refused_with_the_number(bench: Any) -> None:
    """75 MW where 60 can be given up are refused, and no event is agreed."""
    bench.train()
    body = bench.signal(bench.demand_response("dr-1", target_reduction_mw=75))
    assert (body["status"], body["event"]) == ("refused", None)
    assert body["reasons"] == ["the reduction of 75 MW is above the 60 MW that can be given up"]
    assert bench.commands.grid_status().events == ()


def test_same_event_same_answer_other_content_conflicts(bench: Any) -> None:
    """A repeated event is answered as before and counts once; with other content it conflicts."""
    bench.train()
    first = bench.signal(bench.demand_response("dr-1"))
    repeated = bench.demand_response("dr-1")
    bench.clock.now_s += 1
    repeated["timestamp"] = iso8601(bench.clock.now_s)
    assert bench.signal(repeated) == first
    assert len(bench.commands.grid_status().events) == 1
    with pytest.raises(ConflictError):
        bench.signal({**repeated, "target_reduction_mw": 11})


def test_event_lowers_what_is_left_for_others(bench: Any) -> None:
    """During an event no new workload takes back what was given up."""
    bench.train()
    bench.signal(bench.demand_response("dr-1"))
    body = bench.announce("late", 30, start_time_estimate=iso8601(bench.clock.now_s + 3600))
    assert body["approval_status"] == "rejected"
    after = bench.announce("after", 30, start_time_estimate=iso8601(bench.clock.now_s + 7300))
    assert after["approval_status"] == "approved"


def test_signal_shows_in_the_status_and_in_answers(bench: Any) -> None:
    """Stability, carbon, price and limit of a signal are the status's until it expires."""
    body = bench.signal(
        bench.grid_signal(
            "s-1",
            grid_stability="stressed",
            carbon_intensity_g_co2_kwh=310,
            price_per_mwh=92.5,
            green_energy_available=False,
            import_limit_mw=200,
            valid_until=iso8601(bench.clock.now_s + 600),
        )
    )
    assert (body["status"], body["event"]) == ("accepted", None)
    validator("messages/grid_signal_response").validate(body)
    status = bench.commands.grid_status()
    assert (status.stability, status.import_limit_w, status.price_per_mwh) == (
        "stressed",
        200e6,
        92.5,
    )
    answer = bench.announce("a", 1)
    assert answer["grid_status"] == {
        "grid_stability": "stressed",
        "green_energy_available": False,
        "carbon_intensity_g_co2_kwh": 310,
    }
    bench.clock.now_s += 601
    status = bench.commands.grid_status()
    assert (status.stability, status.import_limit_w, status.price_per_mwh) == (
        "normal",
        250e6,
        None,
    )


def test_signal_survives_a_restart(bench: Any) -> None:
    """What the grid operator said is on disk before it is answered."""
    bench.signal(bench.grid_signal("s-1", import_limit_mw=200))
    assert bench.restart().grid_status().import_limit_w == 200e6


def test_expired_signal_is_refused(bench: Any) -> None:
    """A signal whose validity is over is refused and changes nothing."""
    body = bench.signal(
        bench.grid_signal("s-1", import_limit_mw=1, valid_until="2025-01-01T00:00:00Z")
    )
    assert (body["status"], body["reasons"]) == ("refused", ["valid_until is in the past"])
    assert bench.commands.grid_status().import_limit_w == 250e6


def test_import_limit_throttles_what_runs(bench: Any) -> None:
    """A limit below the import caps running workloads, and is lifted with the limit."""
    bench.train()
    body = bench.signal(
        bench.grid_signal("s-1", import_limit_mw=180, valid_until=iso8601(bench.clock.now_s + 600))
    )
    assert body["status"] == "accepted"
    assert body["reasons"] == [
        "194 MW flow, and approved workloads may need 194 MW, above the limit of 180 MW: "
        "workloads are capped by up to 14 MW with the cooling"
    ]
    assert bench.commands.grid_status().available_w == 0.0
    bench.tick(1)
    assert bench.sink.orders["t"].max_power_w == pytest.approx(100e6 - 14e6 / 1.06)
    bench.tick(600)
    assert bench.sink.orders["t"].max_power_w == 100e6


def test_limit_that_cannot_be_kept_is_refused_with_the_numbers(bench: Any) -> None:
    """What no cap can reach is refused; nobody is capped for it, and no power is on offer."""
    bench.train()
    body = bench.signal(bench.grid_signal("s-1", import_limit_mw=100, grid_stability="emergency"))
    validator("messages/grid_signal_response").validate(body)
    assert body["status"] == "refused"
    assert body["reasons"] == [
        "194 MW flow, 63.6 MW can be given up with the cooling: "
        "there remain at least 130.4 MW, above the limit of 100 MW",
        NO_OFFER,
    ]
    bench.tick(1)
    assert bench.sink.orders["t"].max_power_w == 100e6
    status = bench.commands.grid_status()
    assert (status.available_w, status.flexibility_up_w) == (0.0, 0.0)
    assert (status.import_limit_w, status.stability) == (100e6, "emergency")
    assert bench.announce("more", 1)["approval_status"] == "rejected"


def test_refused_limit_leaves_the_one_before_in_force(bench: Any) -> None:
    """A promise to keep a limit outlives a later limit that was refused, and a restart."""
    bench.train()
    assert bench.signal(bench.grid_signal("s-1", import_limit_mw=180))["status"] == "accepted"
    bench.tick(1)
    capped_w = bench.sink.orders["t"].max_power_w
    assert bench.signal(bench.grid_signal("s-2", import_limit_mw=0))["status"] == "refused"
    bench.restart()
    bench.tick(1)
    assert bench.sink.orders["t"].max_power_w == pytest.approx(capped_w)


def test_limit_that_a_start_to_come_will_break_is_refused(bench: Any) -> None:
    """A limit must hold as long as it is valid, with all that is approved by then."""
    start = iso8601(bench.clock.now_s + 600)
    bench.announce("rigid", 100, start_time_estimate=start)
    until = {
        name: iso8601(bench.clock.now_s + after_s) for name, after_s in (("a", 500), ("b", 700))
    }
    short = bench.grid_signal("short", import_limit_mw=150, valid_until=until["a"])
    assert (bench.signal(short)["status"], bench.signal(short)["reasons"]) == ("accepted", [])
    long = bench.signal(bench.grid_signal("long", import_limit_mw=150, valid_until=until["b"]))
    assert long["status"] == "refused"
    assert long["reasons"] == [
        "88 MW flow, 0 MW can be given up with the cooling; "
        "in 600 s remain at least 194 MW, above the limit of 150 MW",
        NO_OFFER,
    ]


def test_limit_is_not_promised_on_a_dead_meter(bench: Any) -> None:
    """While a meter is dead nobody is capped, so a limit that needs caps is refused."""
    bench.train()
    bench.measured.dead_feeds = {"feed_0"}
    body = bench.signal(bench.grid_signal("s-1", import_limit_mw=180))
    assert body["status"] == "refused"
    assert body["reasons"][1] == "not all of the import is measured: no workload would be capped"


def test_dead_meter_throttles_nobody(bench: Any) -> None:
    """An import that is counted at a rating caps no workload."""
    bench.train()
    bench.signal(bench.grid_signal("s-1", import_limit_mw=200))
    bench.measured.dead_feeds = {"feed_0"}
    bench.tick(1)
    assert bench.sink.orders["t"].max_power_w == 100e6


def test_observe_mode_promises_nothing(bench: Any) -> None:
    """In observe mode an event is refused and an import limit caps nothing; both say why."""
    bench.stop()
    bench.start(control="observe")
    bench.train()
    refused = bench.signal(bench.demand_response("dr-1"))
    assert refused["status"] == "refused"
    assert refused["reasons"] == ["control mode is observe: no workload would be capped"]
    told = bench.signal(bench.grid_signal("s-1", import_limit_mw=150))
    assert told["status"] == "refused"
    assert told["reasons"] == [
        "194 MW flow, and approved workloads may need 194 MW, above the limit of 150 MW",
        "control mode is observe: no workload would be capped",
        NO_OFFER,
    ]
    assert bench.signal(bench.grid_signal("s-2", import_limit_mw=194.1))["status"] == "accepted"
    bench.tick(1)
    assert bench.commands.workload("t").max_power_w == 100e6


def test_status_adds_up(bench: Any) -> None:
    """Available is limit less import less reserved, and the message validates."""
    bench.announce("a", 100, start_time_estimate=iso8601(bench.clock.now_s + 600))
    status = bench.commands.grid_status()
    assert (status.import_w, status.reserved_w) == (88e6, pytest.approx(106e6))
    assert status.available_w == status.flexibility_up_w == pytest.approx(56e6)
    assert status.flexibility_down_w == 0.0
    header = {
        "dcpi_version": "1.0",
        "message_type": "grid_status",
        "timestamp": "2027-01-15T08:00:00Z",
        "facility_id": "campus",
        "correlation_id": "c",
    }
    validator("messages/grid_status").validate({**header, **grid_status(status)})


def test_unknown_import_is_null(bench: Any) -> None:
    """With a dead meter the import is null, the quality says so, and less is available."""
    bench.measured.dead_feeds = {"feed_0"}
    status = bench.commands.grid_status()
    assert (status.import_w, status.quality) == (None, "comm-error")
    assert status.available_w == pytest.approx(250e6 - 66e6 - 62.5e6)


def test_other_messages_are_refused_by_type(bench: Any) -> None:
    """A message of another type, or without a time that exists, is refused by its pointer."""
    with pytest.raises(MessageError) as caught:
        bench.signal({**bench.grid_signal("s"), "message_type": "power_control"})
    assert caught.value.property_path == "/message_type"
    with pytest.raises(MessageError) as caught:
        bench.signal(bench.demand_response("d", start_time="2027-01-15T23:59:60Z"))
    assert caught.value.property_path == "/start_time"


def test_what_is_over_is_forgotten_after_a_week(bench: Any) -> None:
    """Expired signals and finished events leave the book, on disk too."""
    bench.train()
    bench.signal(bench.demand_response("dr-1"))
    bench.signal(bench.grid_signal("s-1", valid_until=iso8601(bench.clock.now_s + 60)))
    bench.tick(8 * 86400)
    again = bench.demand_response("dr-1", target_reduction_mw=5)
    assert bench.signal(again)["status"] == "refused"
    assert bench.signal(bench.grid_signal("s-1", price_per_mwh=3))["status"] == "accepted"
