"""Faults: dead meters, killed services, kill -9."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from e2e.emulator_client import Running, emulator, wait_for
from e2e.test_endpoints import announcement

from emulator.plant.client import PlantControl
from emulator.plant.errors import ControlError

HOME = "/redfish/v1/dcpi"
POWER_LIMIT = "/redfish/v1/Chassis/DCPI/Controls/Facility_PowerLimit"


def feed(bmc: Running, feed_id: str) -> dict:
    """One feed of power/realtime."""
    feeds = bmc.get(f"{HOME}/power/realtime")["Feeds"]
    return next(f for f in feeds if f["FeedId"] == feed_id)


def ready(bmc: Running) -> bool:
    """Whether every feed is good."""
    answer = bmc.ask("GET", f"{HOME}/power/realtime")
    return answer.status == 200 and answer.body["Quality"] == "ok"


def test_a_killed_meter_is_comm_error_and_comes_back(bmc: Running) -> None:
    """A dead meter is null with comm-error within 1 s; all else goes on; it is back within 5 s."""
    with PlantControl(bmc.state_dir / "plant" / "control.sock") as plant:
        check_dead_meter(bmc, plant)
    wait_for(lambda: feed(bmc, "cooling")["Quality"] == "ok", 5, "the meter is back")


def check_dead_meter(bmc: Running, plant: PlantControl) -> None:
    """Stop the cooling meter, look, and start it again."""
    plant.device_stop("cooling_meter")
    try:
        wait_for(lambda: feed(bmc, "cooling")["Quality"] == "comm-error", 1.5, "comm-error")
        assert feed(bmc, "cooling")["PowerWatts"] is None
        assert feed(bmc, "hall_1")["Quality"] == "ok"
        assert plant.truth()["feeds"]["cooling"]["p_w"] > 0
        grid = bmc.get(f"{HOME}/grid/status")
        assert grid["ImportPowerWatts"] is None
    finally:
        plant.device_start("cooling_meter")


def test_kill_9_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    """After kill -9 accounts, workloads, limit, energy and history to the last second are there."""
    account = {"UserName": "ops", "Password": "night-shift", "RoleId": "Operator"}
    with emulator(tmp_path) as bmc:
        wait_for(lambda: ready(bmc), 10, "quality ok")
        assert bmc.ask("POST", "/redfish/v1/AccountService/Accounts", account).status == 201
        limit = {"SetPoint": 240e6}
        wait_for(lambda: bmc.ask("PATCH", POWER_LIMIT, limit).status == 200, 60, "the limit")
        message = announcement("survivor", 7, in_s=600)
        decided = bmc.ask("POST", f"{HOME}/workload/announce", message).body
        time.sleep(2.5)
        energy_kwh = feed(bmc, "hall_1")["EnergyImportkWh"]
        assert energy_kwh > 0
        killed_s = time.time()
        bmc.kill()
    with emulator(tmp_path) as bmc:
        wait_for(lambda: ready(bmc), 10, "quality ok again")
        assert bmc.get(POWER_LIMIT)["SetPoint"] == 240e6
        workload = bmc.get(f"{HOME}/workloads/survivor")
        assert workload["ApprovalStatus"] == decided["approval_status"]
        again = bmc.ask("POST", f"{HOME}/workload/announce", message).body
        assert again["approval_status"] == decided["approval_status"]
        bmc.user, bmc.password = "ops", "night-shift"
        assert feed(bmc, "hall_1")["EnergyImportkWh"] >= energy_kwh
        start = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(killed_s - 2))
        history = bmc.get(f"{HOME}/power/history?feed=hall_1&start={start}")
        first = history["Points"][0]["Start"]
        assert first <= time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(killed_s)) + ".000Z"


def test_sigterm_ends_cleanly_and_leaves_no_plant(tmp_path: Path) -> None:
    """SIGTERM ends the service with status 0 within seconds, and its plant with it."""
    with emulator(tmp_path) as bmc:
        wait_for(lambda: ready(bmc), 10, "quality ok")
        with PlantControl(tmp_path / "plant" / "control.sock") as plant:
            assert plant.truth()
            assert bmc.stop() == 0
            with pytest.raises(ControlError):
                plant.truth()


def test_a_second_service_on_the_same_state_is_refused(bmc: Running) -> None:
    """Two services cannot share a state directory."""
    with pytest.raises(AssertionError, match="in use by another"):
        Running("emulate", "--port", 0, "--state-dir", bmc.state_dir)
