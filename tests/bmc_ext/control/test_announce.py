"""Announcing workloads through the command path, over real books and a real audit log."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from bmc_ext.errors import ConflictError, MessageError, NotFoundError, StateError
from bmc_ext.messages.validate import validate
from bmc_ext.security.audit import verify
from schemas import validator

FLEXIBLE = {"can_throttle": True, "min_power_mw": 5}


def test_draft_announcement_is_approved_with_conditions(bench: Any, shared: Path) -> None:
    """The draft's own 180 MW, moved to now, get about 150 MW on the lab campus."""
    text = (shared / "spec" / "dcpi-standard-draft.md").read_text(encoding="utf-8")
    found = re.search(r"```json\n(\{[^`]*workload_announcement[^`]*\})\n```", text)
    assert found is not None
    message = json.loads(found.group(1))
    message["power_profile"]["start_time_estimate"] = "2027-01-15T08:05:00Z"
    outcome = bench.commands.announce(message, bench.user, "c-1")
    assert (outcome.status, outcome.location_id) == (200, "ai-training-job-12345")
    body = outcome.body
    assert body["approval_status"] == "approved_with_conditions"
    assert body["conditions"]["max_power_mw"] == pytest.approx(152.83)
    assert body["conditions"]["start_time"] == "2027-01-15T08:05:00.000Z"
    assert body["conditions"]["thermal_constraints"]["coolant_supply_temp_c"] == 30.1
    validator("messages/infrastructure_response.full").validate(body)
    validate(body, "infrastructure_response", strict=True)


def test_same_content_gets_the_same_answer(bench: Any) -> None:
    """A repetition, later and with another header, is answered as the first was."""
    first = bench.announce("a")
    bench.clock.now_s += 100
    bench.measured.power_w = 240e6
    message = bench.announcement("a", 40.0)
    again = bench.commands.announce(message, bench.user, "c-9").body
    assert {**again, "correlation_id": "c-1"} == first
    assert len(bench.commands.workloads()) == 1


def test_other_content_conflicts(bench: Any) -> None:
    """The same workload_id with another peak is a conflict and changes nothing."""
    bench.announce("a")
    with pytest.raises(ConflictError, match="'a' was announced before with other content"):
        bench.announce("a", 41)
    assert bench.commands.workload("a").peak_power_w == 40e6
    bench.announce("b", 900)
    with pytest.raises(ConflictError, match="and rejected; take a new workload_id"):
        bench.announce("b", 100)


def test_approved_workloads_take_from_what_is_left(bench: Any) -> None:
    """What one workload was promised is not promised again, and its end gives it back."""
    assert bench.announce("a", 150)["approval_status"] == "approved"
    assert bench.announce("b", 150)["approval_status"] == "rejected"
    bench.tick()
    bench.measured.power_w = 88e6 + 150e6 * 1.06
    bench.tick(1800)
    rejected = bench.announce("c", 150)
    assert rejected["capacity"]["power_available_mw"] == pytest.approx(152.83 - 150, abs=0.01)
    assert rejected["alternative"] == {
        "start_time": "2027-01-15T09:00:00.000Z",
        "max_power_mw": 150.0,
    }
    accepted = bench.announce("d", 150, start_time_estimate="2027-01-15T09:00:00.000Z")
    assert accepted["approval_status"] == "approved"


def test_rejection_names_an_alternative_that_is_accepted(bench: Any) -> None:
    """A workload larger than the site, announced again as the alternative says, is approved."""
    rejected = bench.announce("big", 5000)
    assert rejected["approval_status"] == "rejected"
    assert "above the facility's 250 MW" in rejected["reasons"][0]
    assert "conditions" not in rejected
    alternative = rejected["alternative"]
    again = bench.announce(
        "smaller",
        alternative["max_power_mw"],
        start_time_estimate=alternative["start_time"],
    )
    assert again["approval_status"] == "approved"
    assert bench.commands.workload("big").state == "rejected"


def test_past_is_rejected(bench: Any) -> None:
    """An announcement for the past is decided and rejected, with a start to come."""
    body = bench.announce("old", start_time_estimate="2025-06-04T14:35:00Z")
    assert (body["approval_status"], body["reasons"]) == (
        "rejected",
        ["the announced time is over"],
    )
    assert body["alternative"]["start_time"] == "2027-01-15T08:01:00.000Z"


@pytest.mark.parametrize(
    ("profile", "note"),
    [
        ({"flexibility": "yes"}, "power_profile.flexibility is malformed: ignored"),
        ({"priority": 7}, "power_profile.priority is malformed: ignored"),
        (
            {"baseline_power_mw": 99},
            "baseline_power_mw is above the peak power: taken as the peak power",
        ),
        (
            {"duration_estimate_sec": 0},
            "duration_estimate_sec is 0, which is no estimate: taken as open-ended",
        ),
    ],
)
def test_what_makes_no_sense_is_ignored_and_told(
    bench: Any, profile: dict[str, Any], note: str
) -> None:
    """What Annex A accepts is decided, and the reasons say what was not taken as it stood."""
    body = bench.announce("odd", **profile)
    assert body["approval_status"] == "approved"
    assert note in body["reasons"]


NO_START = (
    "power_profile.start_time_estimate cannot be read as a time with UTC offset: "
    "no start is guessed"
)


@pytest.mark.parametrize(
    "start",
    [
        "tomorrow",
        "2027-01-15T08:05:00",
        "2027-01-15T23:59:60Z",
        1_800_000_300,
        None,
    ],
)
def test_start_that_cannot_be_read_is_no_start(bench: Any, start: object) -> None:
    """180 MW never start on a guess: the decision is a rejection with a start that would do."""
    body = bench.announce("a", 150, start_time_estimate=start)
    validator("messages/infrastructure_response.full").validate(body)
    assert (body["approval_status"], body["reasons"]) == ("rejected", [NO_START])
    bench.tick()
    assert bench.sink.orders == {}
    assert body["alternative"] == {
        "start_time": "2027-01-15T08:01:00.000Z",
        "max_power_mw": 150,
    }
    again = bench.announce("b", 150, start_time_estimate=body["alternative"]["start_time"])
    assert again["approval_status"] == "approved"


def test_start_that_is_left_out_is_another_content(bench: Any) -> None:
    """A start that was not read counts: the same announcement without it is no repetition."""
    bench.announce("a", start_time_estimate="tomorrow")
    assert bench.announce("a", start_time_estimate="tomorrow")["reasons"] == [NO_START]
    with pytest.raises(ConflictError):
        bench.announce("a")


@pytest.mark.parametrize(
    "profile",
    [
        {"peak_power_mw": 1e308, "baseline_power_mw": 1e308},
        {"peak_power_mw": 0},
        {"duration_estimate_sec": 10**18},
        {"start_time_estimate": "9999-12-31T23:59:59.9-23:00"},
        {"start_time_estimate": "0001-01-01T00:00:00+23:59"},
        {"start_time_estimate": "2027-01-15T23:59:60Z"},
        {"flexibility": {"can_delay": True, "max_delay_sec": 1e308}, "peak_power_mw": 200},
    ],
)  # fmt: skip
def test_extremes_are_decided(bench: Any, profile: dict[str, Any]) -> None:
    """The ends of floats and calendars are decided like anything else, and can be read back."""
    body = bench.announce("extreme", **profile)
    validator("messages/infrastructure_response.full").validate(body)
    record = bench.commands.workload("extreme")
    assert record.approval_status == body["approval_status"]
    bench.tick()


def test_power_of_no_site_is_rejected_without_echo(bench: Any) -> None:
    """A peak of 1e308 MW is above the site, in words that can be read."""
    body = bench.announce("huge", 1e308)
    assert body["approval_status"] == "rejected"
    assert body["reasons"] == [
        "peak power 1000000 MW is above the facility's 250 MW",
        "peak_power_mw is above 1000000 MW: taken as that",
    ]


@pytest.mark.parametrize("workload_id", ["", "a/b", "..", "x" * 100_000])
def test_any_identity_can_be_found_again(bench: Any, workload_id: str) -> None:
    """A workload is found by its own identity and by the one that its Location carries."""
    outcome = bench.commands.announce(bench.announcement(workload_id), bench.user, "c")
    assert bench.commands.workload(workload_id).workload_id == workload_id
    assert bench.commands.workload(outcome.location_id).workload_id == workload_id


def test_malformed_is_refused_and_nothing_changes(bench: Any) -> None:
    """A negative peak is refused by its pointer; nothing is announced and nothing audited."""
    message = bench.announcement("bad", -1)
    with pytest.raises(MessageError) as caught:
        bench.commands.announce(message, bench.user, "c")
    assert caught.value.property_path == "/power_profile/peak_power_mw"
    assert bench.commands.workloads() == []
    assert bench.audit_entries() == []
    with pytest.raises(NotFoundError, match="'bad'"):
        bench.commands.workload("bad")


def test_unknown_feed_counts_at_its_rating(bench: Any) -> None:
    """A dead meter makes less room, not more, and the reasons say so."""
    bench.measured.dead_feeds = {"feed_3"}
    body = bench.announce("a", 200)
    left_mw = (250 - 66 - 62.5) / 1.06
    assert body["capacity"]["power_available_mw"] == pytest.approx(left_mw)
    assert (
        "the power of feed feed_3 is comm-error: counted at its rating of 62.5 MW"
        in body["reasons"]
    )


@pytest.mark.parametrize("how", ["nothing", "old"])
def test_nothing_measured_means_nothing_to_give(bench: Any, how: str) -> None:
    """Without a snapshot, or with one too old, all feeds count at their rating."""
    bench.measured.nothing = how == "nothing"
    bench.measured.age_s = 60.0
    body = bench.announce("a", 1)
    assert (body["approval_status"], body["alternative"]) == ("rejected", None)
    assert len([reason for reason in body["reasons"] if "rating" in reason]) == 4


def test_dead_loop_carries_no_heat(bench: Any) -> None:
    """Loops that are not measured are not counted as cooling, and are named."""
    bench.measured.dead_loops = {f"loop_{i}" for i in range(1, 24)}
    body = bench.announce("a", 100)
    assert body["approval_status"] == "rejected"
    assert body["capacity"]["cooling_available_mw"] == pytest.approx(8.8, abs=0.3)
    assert any(reason.startswith("cooling of loop_1, loop_2") for reason in body["reasons"])


def test_two_clients_never_share_the_same_megawatts(bench: Any) -> None:
    """Sixteen announcements of 40 MW at once get no more than what is left for three."""
    bodies: list[dict[str, Any]] = []
    threads = [
        threading.Thread(target=lambda i=i: bodies.append(bench.announce(f"w{i}", 40)))
        for i in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(body["approval_status"] for body in bodies).count("approved") == 3


def test_audit_has_an_entry_before_and_after(bench: Any) -> None:
    """Every decision is in the audit chain twice, with who asked and what was decided."""
    bench.announce("a")
    planned, done = bench.audit_entries()
    assert (planned["event"], done["event"]) == (
        "workload.announce.planned",
        "workload.announce.done",
    )
    assert planned["fields"]["user"] == "root"
    assert planned["fields"]["approval_status"] == "approved"
    assert done["fields"]["planned_seq"] == planned["seq"]
    assert verify(bench.path / "audit").ok


def test_announcement_is_on_disk_before_the_answer(bench: Any) -> None:
    """Who opens the books right after the answer finds the workload as answered."""
    body = bench.announce("a", 100)
    before = bench.commands.workload("a")
    commands = bench.restart()
    assert commands.workload("a") == before
    assert {**bench.announce("a", 100), "correlation_id": "c-1"} == body
    assert bench.announce("b", 100)["approval_status"] == "rejected"


def test_disk_that_is_full_takes_nothing(bench: Any) -> None:
    """When the book cannot be written the client hears of it, and no power is promised."""
    bench.commands.close()
    with pytest.raises(StateError, match="book of workloads cannot be written"):
        bench.announce("a")
    assert [entry["event"] for entry in bench.audit_entries()][-1] == "workload.announce.failed"
    bench.start_again_after_failure()
    assert bench.commands.workloads() == []


def test_life_of_a_workload_reaches_the_sink(bench: Any) -> None:
    """The sink hears of an approved workload before its start and at its end; of no other."""
    bench.announce("a", 40, start_time_estimate="2027-01-15T08:01:00Z", ramp_rate_mw_per_sec=2)
    bench.announce("too-big", 900)
    bench.tick()
    order = bench.sink.orders["a"]
    assert (order.start_s, order.end_s) == (1_800_000_060.0, 1_800_003_660.0)
    assert (order.max_power_w, order.ramp_rate_w_per_s) == (40e6, 2e6)
    assert list(bench.sink.orders) == ["a"]
    assert bench.commands.workload("a").state == "scheduled"
    bench.tick(61)
    assert bench.commands.workload("a").state == "running"
    bench.tick(3600)
    assert bench.commands.workload("a").state == "completed"
    assert bench.sink.removed == ["a"]


def test_sink_that_failed_is_told_again(bench: Any) -> None:
    """An order that did not arrive is repeated at the next tick, and after a restart."""
    bench.announce("a")
    bench.sink.broken = True
    bench.tick()
    assert bench.sink.orders == {}
    bench.sink.broken = False
    bench.tick(1)
    assert list(bench.sink.orders) == ["a"]
    bench.sink.orders.clear()
    bench.restart()
    bench.tick(1)
    assert list(bench.sink.orders) == ["a"]


def test_refused_order_is_logged_once_in_one_line(
    bench: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """An order that does not arrive turn after turn is one line without a traceback."""
    bench.announce("a")
    bench.sink.broken = True
    for _ in range(5):
        bench.tick(1)
    [record] = caplog.records
    assert "'a' did not arrive" in record.getMessage()
    assert "ConnectionError: nobody there" in record.getMessage()
    assert record.exc_info is None
    bench.sink.broken = False
    bench.tick(1)
    assert list(bench.sink.orders) == ["a"]


def test_end_that_did_not_arrive_is_left_alone(bench: Any) -> None:
    """The order carried the end, so a sink that has let go already is not asked again."""
    bench.announce("a")
    bench.tick()
    bench.sink.broken = True
    bench.tick(3601)
    bench.sink.broken = False
    bench.tick(1)
    assert bench.sink.removed == []


def test_what_is_over_is_forgotten_after_a_week(bench: Any) -> None:
    """Completed and rejected workloads leave the book, on disk too; open-ended ones stay."""
    bench.announce("short", 10)
    bench.announce("rejected", 900)
    message = bench.announcement("open", 10)
    del message["power_profile"]["duration_estimate_sec"]
    bench.commands.announce(message, bench.user, "c")
    bench.tick(6 * 86400)
    assert len(bench.commands.workloads()) == 3
    bench.tick(2 * 86400)
    assert [record.workload_id for record in bench.commands.workloads()] == ["open"]
    assert [record.workload_id for record in bench.restart().workloads()] == ["open"]


def test_restart_keeps_running_power_out_of_the_base_load(bench: Any) -> None:
    """After a restart a running workload's power is not mistaken for base load."""
    bench.announce("a", 100)
    bench.tick(1)
    bench.measured.power_w = 88e6 + 100e6 * 1.06
    bench.tick(100)
    left = bench.commands.grid_status().available_w
    bench.restart()
    assert bench.commands.grid_status().available_w == pytest.approx(left)
    assert left == pytest.approx(250e6 - 194e6)
