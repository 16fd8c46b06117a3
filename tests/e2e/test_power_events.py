"""A load that starts at once is an event on both faces, and one that outlives the service."""

from __future__ import annotations

import datetime
import time
from pathlib import Path

import pytest
from e2e.emulator_client import Running, emulator, wait_for

import schemas
from emulator.plant.client import PlantControl

EVENTS = "/redfish/v1/dcpi/power/events"
STEP_W = 90e6


def settled(bmc: Running) -> None:
    """Wait until all four halls are measured, and a second more for the watch to see them."""
    path = "/redfish/v1/dcpi/power/realtime"
    wait_for(
        lambda: (a := bmc.ask("GET", path)).status == 200 and a.body["Quality"] == "ok",
        20,
        "power/realtime with quality ok",
    )
    time.sleep(1.5)


def start_load(plant: PlantControl, name: str, ramp_w_per_s: float) -> float:
    """Draw 90 MW more from in a second on; returns when that is, in Unix s."""
    start_s = time.time() + 1.0
    plant.workload(
        name,
        start_unix_s=start_s,
        end_unix_s=None,
        baseline_w=STEP_W,
        peak_w=STEP_W,
        max_w=STEP_W,
        ramp_w_per_s=ramp_w_per_s,
    )
    return start_s


def site_changes(bmc: Running, query: str = "") -> list[dict]:
    """The changes of the power of all feeds together, newest first."""
    events = bmc.get(f"{EVENTS}{query}")["Events"]
    return [e for e in events if e["FeedId"] is None and e["EventType"] == "PowerChange"]


def unix_s(text: str) -> float:
    """Unix seconds of a time stamp."""
    return datetime.datetime.fromisoformat(text).timestamp()


def test_a_starting_load_is_an_event_and_survives_kill_9(tmp_path: Path) -> None:
    """90 MW over four halls: one event of the site, with its onset and size; a slow load is none.

    No single hall changes by 50 MW: only the sum of the feeds shows it.
    """
    with emulator(tmp_path) as bmc:
        settled(bmc)
        assert site_changes(bmc) == []
        with PlantControl(tmp_path / "plant" / "control.sock") as plant:
            start_s = start_load(plant, "sudden", 1e12)
            event = wait_for(
                lambda: next((e for e in site_changes(bmc) if e["EventState"] == "Over"), None),
                10,
                "the event of the load's start",
            )
            assert unix_s(event["OnsetTime"]) == pytest.approx(start_s, abs=0.1)
            assert 0 < unix_s(event["DetectionTime"]) - unix_s(event["OnsetTime"]) < 0.03
            assert event["PowerChangeWatts"] == pytest.approx(STEP_W, rel=0.05)
            first_w = event["PowerBeforeWatts"]
            assert first_w == pytest.approx(event["PowerAfterWatts"] - event["PowerChangeWatts"])
            plant.workload_remove("sudden")  # it ends at once, which is the second event
            wait_for(lambda: len(site_changes(bmc)) == 2, 10, "the event of the load's end")
            start_load(plant, "slow", 15e6)
            time.sleep(8)
        changes = site_changes(bmc)
        assert [e["PowerChangeWatts"] > 0 for e in changes] == [False, True]
        message = bmc.get("/dcpi/power/events?limit=1")
        schemas.validator("messages/power_events").validate(message)
        assert [e["event_id"] for e in message["events"]] == [changes[0]["EventId"]]
        assert message["events"][0]["power_change_mw"] * 1e6 == changes[0]["PowerChangeWatts"]
        bmc.kill()
    with emulator(tmp_path) as again:
        kept = site_changes(again)[-2:]
        assert kept == changes
        later = changes[0]["DetectionTime"].replace("+", "%2B")
        assert site_changes(again, f"?since={later}")[-1]["EventId"] == changes[0]["EventId"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "since=yesterday", "feed=nowhere"]
)
def test_a_query_that_cannot_be_is_refused(bmc: Running, query: str) -> None:
    """A bad parameter is 400 and named, on both faces."""
    for path in (EVENTS, "/dcpi/power/events"):
        answer = bmc.ask("GET", f"{path}?{query}")
        assert answer.status == 400
        assert query.partition("=")[0] in str(answer.body)


def test_the_root_leads_to_the_events(bmc: Running) -> None:
    """The DCPI service links the events, and says that it has them."""
    service = bmc.get("/redfish/v1/dcpi")
    assert service["PowerEvents"]["@odata.id"] == EVENTS
    assert "power_events" in service["Capabilities"]
    assert bmc.get(f"{EVENTS}?feed=hall_1&limit=5")["Events"] == [
        e for e in bmc.get(EVENTS)["Events"] if e["FeedId"] == "hall_1"
    ]
