"""The six endpoints of DCPI Table 3, live, on both faces."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from e2e.conftest import settle
from e2e.emulator_client import COMMAND, Running, emulator, wait_for
from e2e.moving_truth import moving_truth

import schemas
from emulator.plant.client import PlantControl

HOME = "/redfish/v1/dcpi"


@pytest.fixture(scope="module")
def plant(bmc: Running) -> Iterator[PlantControl]:
    """The truth behind the running BMC."""
    with PlantControl(bmc.state_dir / "plant" / "control.sock") as control:
        yield control


def test_service_root_links_dcpi(bmc: Running) -> None:
    """ServiceRoot.Oem.DCPI leads to the DCPI service with its capabilities."""
    root = bmc.ask("GET", "/redfish/v1/", auth=False).body
    link = root["Oem"]["DCPI"]["Service"]["@odata.id"]
    assert link == HOME
    service = bmc.get(link)
    assert "power_realtime" in service["Capabilities"]
    assert service["ControlMode"] == "act"


def test_measured_power_is_the_plants_power(bmc: Running, plant: PlantControl) -> None:
    """Every hall's power agrees with the plant's truth within 1 %."""
    with moving_truth(plant) as truth:
        body = _known(bmc, "power/realtime")
        halls = [feed for feed in body["Feeds"] if feed["Source"] == "waveform"]
        assert len(halls) == 4
        for feed in halls:
            truth.check(feed["PowerWatts"], partial(_feed_w, feed["FeedId"]), rel=0.01)
    for feed in halls:
        assert len(feed["Phases"]) == 3
        assert sum(p["PowerWatts"] for p in feed["Phases"]) == pytest.approx(feed["PowerWatts"])


def _feed_w(feed: str, truth: dict[str, Any]) -> float:
    return float(truth["feeds"][feed]["p_w"])


def test_a_limit_alone_asks_for_the_newest_history(bmc: Running) -> None:
    """Without a start the last points come, with one the first; a start after the end is 400."""
    path = f"{HOME}/power/history"
    known = wait_for(lambda: len(found := bmc.get(path)["Points"]) > 3 and found, 10, "history")
    newest = bmc.get(f"{path}?limit=2")["Points"]
    assert len(newest) == 2
    assert newest[0]["Start"] >= known[-2]["Start"]
    first = bmc.get(f"{path}?limit=2&start={known[0]['Start']}")["Points"]
    assert first == known[:2]
    backwards = f"{path}?start={known[1]['Start']}&end={known[0]['Start']}"
    assert bmc.ask("GET", backwards).status == 400


def test_both_faces_show_one_window(bmc: Running) -> None:
    """Redfish and message of the same WindowId carry the same numbers."""

    def pair():
        redfish = bmc.get(f"{HOME}/power/realtime")
        message = bmc.get("/dcpi/power/realtime")
        same = redfish["WindowId"] == message["window_id"]
        return (redfish, message) if same and redfish["Quality"] == "ok" else None

    redfish, message = wait_for(pair, 5, "two answers of one good window")
    assert redfish["Total"]["PowerWatts"] == pytest.approx(message["total"]["power_mw"] * 1e6)
    schemas.validator("messages/power_realtime").validate(message)
    for feed, same in zip(redfish["Feeds"], message["feeds"], strict=True):
        registers, shown = feed["EnergyRegisters"], same["energy_registers"]
        if feed["Source"] == "waveform":
            assert registers["ReactiveQ1kVARh"] == pytest.approx(1e3 * shown["reactive_q1_mvarh"])
            assert registers["ReactiveQ1kVARh"] > 0.0
            assert registers["GapSeconds"] == shown["gap_sec"] >= 0.0
            # 500 ppm at most, where nobody disciplines the clock.
            assert 0.0 <= registers["TimeErrorPercent"] <= 0.0501
        else:
            assert registers["MissingWindows"] is shown["missing_windows"] is None
        assert feed["TimeBase"]["SampleRateHz"] == same["time_base"]["sample_rate_hz"]


def test_times_that_are_not_bounded_are_an_alarm(bmc: Running) -> None:
    """Beyond 1 ms, or unbounded, there is a condition on the resource and the root, else none."""
    body = _known(bmc, "power/realtime")
    bound = body["TimeBoundMilliseconds"]
    assert (bound is None) == (body["TimeBoundSource"] is None)
    is_alarming = bound is None or bound > 1.0
    assert ("Conditions" in body["Status"]) == is_alarming
    assert body["Status"]["Health"] == ("Warning" if is_alarming else "OK")
    if is_alarming:
        (condition,) = body["Status"]["Conditions"]
        assert condition["MessageArgs"] == ["TimeBoundMilliseconds", "1"]

    def agree() -> bool:
        root, power = bmc.get(HOME), bmc.get(f"{HOME}/power/realtime")
        message = bmc.get("/dcpi/power/realtime")
        conditions = [answer["Status"].get("Conditions") for answer in (root, power)]
        return conditions[0] == conditions[1] and bool(conditions[0]) == bool(message["alarms"])

    assert wait_for(agree, 5, "the same alarm on the root and on both faces")


def test_values_over_actual_cycles_are_on_both_faces(bmc: Running) -> None:
    """A hall's newest 10 cycles are the same on both faces, near the 100 ms values, and recent."""

    def pair():
        redfish = bmc.get(f"{HOME}/power/realtime")
        message = bmc.get("/dcpi/power/realtime")
        same = redfish["WindowId"] == message["window_id"]
        known = redfish["Feeds"][0]["TenTwelveCycle"] is not None
        return (redfish, message) if same and known else None

    redfish, message = wait_for(pair, 10, "a window with a value over 10 cycles")
    feed, told = redfish["Feeds"][0], message["feeds"][0]
    cycles, same = feed["TenTwelveCycle"], told["ten_twelve_cycle"]
    assert (cycles["Cycles"], cycles["Intervals"]) == (10, 1)
    assert cycles["DurationSeconds"] == pytest.approx(0.2, rel=0.02)
    assert cycles["FrequencyHz"] == pytest.approx(feed["FrequencyHz"], abs=0.05)
    assert cycles["StartTime"] == same["start"] < redfish["WindowStart"]
    assert cycles["PowerWatts"] == pytest.approx(same["power_mw"] * 1e6)
    for phase, window, other in zip(cycles["Phases"], feed["Phases"], same["phases"], strict=True):
        assert phase["VoltageVolts"] == other["voltage_v"]
        assert phase["VoltageVolts"] == pytest.approx(window["VoltageVolts"], rel=0.02)
        assert phase["CurrentTHDSPercent"] == other["thds_current_percent"]
        assert phase["CurrentTHDSPercent"] == pytest.approx(window["CurrentTHDPercent"], rel=0.1)
    meters = [feed for feed in redfish["Feeds"] if feed["Source"] == "meter"]
    assert meters
    assert all(feed["TenTwelveCycle"] is None for feed in meters)


@pytest.mark.parametrize("what", ["power/realtime", "thermal/status", "grid/status"])
def test_aliases_link_within_their_tree(bmc: Running, what: str) -> None:
    """Below an alias every link stays below that alias."""
    for alias in ("/redfish/v1/Oem/DCPI", "/redfish/v1/Chassis/DCPI/Oem/DCPI"):
        body = bmc.get(f"{alias}/{what}")
        assert body["@odata.id"] == f"{alias}/{what}"
        assert f'"{HOME}' not in json.dumps(body)


def test_thermal_status_agrees_with_the_plant(bmc: Running, plant: PlantControl) -> None:
    """Flow, temperatures and heat of every loop are the plant's, within the sensors' class."""
    with moving_truth(plant) as truth:
        body = _known(bmc, "thermal/status")
        assert len(body["Loops"]) == len(plant.truth()["loops"]) == 24
        for loop in body["Loops"]:
            real = partial(_of_loop, loop["SystemId"])
            truth.check(loop["FlowLitersPerMinute"], partial(real, "flow_lpm"), rel=0.03)
            truth.check(loop["SupplyTemperatureCelsius"], partial(real, "supply_c"), off=0.6)
            truth.check(loop["HeatWatts"], partial(real, "heat_w"), rel=0.12)


def _known(bmc: Running, what: str) -> Any:
    """The next of its answers in which nothing is unknown: beside other tests a window is late."""

    def answer() -> Any:
        body = bmc.get(f"{HOME}/{what}")
        return body if body["Quality"] == "ok" else None

    return wait_for(answer, 10, f"{what} with quality ok")


def _of_loop(system: str, quantity: str, truth: dict[str, Any]) -> float:
    return float(truth["loops"][system][quantity])


def test_a_started_workload_draws_its_power(bmc: Running, plant: PlantControl) -> None:
    """The power of an approved workload reaches the meters at its start."""
    settle(bmc)
    idle_w = _known(bmc, "power/realtime")["Total"]["PowerWatts"]
    answer = bmc.ask("POST", f"{HOME}/workload/announce", announcement("soon", 20, in_s=2))
    assert answer.body["approval_status"] == "approved", answer.body
    wait_for(
        lambda: (bmc.get(f"{HOME}/power/realtime")["Total"]["PowerWatts"] or 0) > idle_w + 8e6,
        20,
        "8 MW more at the meters",
    )
    assert bmc.get(f"{HOME}/workloads/soon")["WorkloadState"] == "Running"


@pytest.mark.parametrize(
    ("peak_mw", "in_s", "why"), [(400, 60, "larger than the site"), (10, -7200, "in the past")]
)
def test_an_impossible_workload_gets_an_alternative(
    bmc: Running, peak_mw: float, in_s: float, why: str
) -> None:
    """A workload that cannot run is rejected with an alternative that is then approved."""
    settle(bmc)
    message = announcement(f"no-{peak_mw}", peak_mw, in_s=in_s)
    answer = bmc.ask("POST", f"{HOME}/workload/announce", message)
    assert answer.status == 200
    assert answer.body["approval_status"] == "rejected", why
    alternative = answer.body["alternative"]
    message["workload_id"] += "-again"
    message["power_profile"]["peak_power_mw"] = alternative["max_power_mw"]
    message["power_profile"]["baseline_power_mw"] = 1
    message["power_profile"]["start_time_estimate"] = alternative["start_time"]
    again = bmc.ask("POST", f"{HOME}/workload/announce", message)
    assert again.body["approval_status"].startswith("approved"), again.body


def test_thermal_control_moves_the_water(bmc: Running, plant: PlantControl) -> None:
    """A target flow is accepted by the drive and then seen by the flow sensor and the plant."""
    system = "liquid_cooling_loop_f"
    message = {
        "dcpi_version": "1.0",
        "message_type": "thermal_control",
        "timestamp": stamp(0),
        "cooling_commands": [{"system_id": system, "target_flow_rate_lpm": 4200}],
    }
    answer = bmc.ask("POST", f"{HOME}/thermal/control", message)
    assert answer.status == 200
    schemas.validator("messages/thermal_control_response").validate(answer.body)
    setting = answer.body["outcomes"][0]["settings"][0]
    assert setting["status"] == "accepted"

    def flow_lpm() -> float:
        loops = {loop["SystemId"]: loop for loop in bmc.get(f"{HOME}/thermal/status")["Loops"]}
        return loops[system]["FlowLitersPerMinute"] or 0

    wait_for(lambda: abs(flow_lpm() - 4200) < 300, 15, "the flow sensor near 4200 L/min")
    assert plant.truth()["loops"][system]["flow_lpm"] == pytest.approx(4200, rel=0.07)


def test_a_dead_drive_is_reported_as_not_set(bmc: Running, plant: PlantControl) -> None:
    """A command to a drive that does not answer is never called accepted."""
    plant.device_stop("loop_b_pump")
    try:
        message = {
            "dcpi_version": "1.0",
            "message_type": "thermal_control",
            "timestamp": stamp(0),
            "cooling_commands": [{"system_id": "liquid_cooling_loop_b", "pump_speed_percent": 70}],
        }
        answer = bmc.ask("POST", "/dcpi/thermal/control", message)
        setting = answer.body["outcomes"][0]["settings"][0]
        assert setting["status"] in ("comm_error", "not_set")
        assert setting["accepted"] is None
    finally:
        plant.device_start("loop_b_pump")


def test_grid_signal_is_reflected_in_status(bmc: Running) -> None:
    """A signalled import limit shows in grid/status; an impossible reduction is refused."""
    signal = {
        "dcpi_version": "1.0",
        "message_type": "grid_signal",
        "timestamp": stamp(0),
        "signal_id": "sig-1",
        "carbon_intensity_g_co2_kwh": 310,
        "valid_until": stamp(600),
    }
    assert bmc.ask("POST", f"{HOME}/grid/signal", signal).body["status"] == "accepted"
    assert bmc.get(f"{HOME}/grid/status")["CarbonIntensityGramsPerkWh"] == 310
    request = {
        "dcpi_version": "1.0",
        "message_type": "demand_response_request",
        "timestamp": stamp(0),
        "event_id": "too-much",
        "event_type": "load_reduction",
        "start_time": stamp(60),
        "duration_hours": 1,
        "target_reduction_mw": 9000,
    }
    answer = bmc.ask("POST", "/dcpi/grid/signal", request)
    assert answer.body["status"] == "refused"
    assert "9000" in answer.body["reasons"][0]


def test_the_drafts_workload_is_approved_with_conditions(tmp_path: Path) -> None:
    """The draft's 180 MW announcement, made current by our own command, is capped but approved."""
    command = [COMMAND, "workload", "example", "--now"]
    example = subprocess.run(command, capture_output=True, check=True).stdout
    with emulator(tmp_path) as idle:
        path = f"{HOME}/power/realtime"
        wait_for(lambda: idle.ask("GET", path).body.get("Quality") == "ok", 10, "quality ok")
        wait_for(lambda: idle.get(f"{HOME}/thermal/status")["Quality"] == "ok", 10, "cooling ok")
        answer = idle.ask("POST", f"{HOME}/workload/announce", raw=example)
        assert answer.status == 200
        schemas.validator("messages/infrastructure_response").validate(answer.body)
        assert answer.body["approval_status"] == "approved_with_conditions"
        assert 90 <= answer.body["conditions"]["max_power_mw"] < 180
        assert idle.get(answer.headers["location"])["WorkloadState"] == "Scheduled"
        again = idle.ask("POST", "/dcpi/workload/announce", raw=example)
        assert again.body["conditions"] == answer.body["conditions"]
        changed = json.loads(example)
        changed["power_profile"]["peak_power_mw"] = 170
        assert idle.ask("POST", f"{HOME}/workload/announce", changed).status == 409


def announcement(workload_id: str, peak_mw: float, *, in_s: float) -> dict[str, object]:
    """A small workload that starts in `in_s` seconds and lasts ten minutes."""
    return {
        "dcpi_version": "1.0",
        "message_type": "workload_announcement",
        "timestamp": stamp(0),
        "workload_id": workload_id,
        "power_profile": {
            "peak_power_mw": peak_mw,
            "baseline_power_mw": peak_mw / 2,
            "ramp_rate_mw_per_sec": 20,
            "duration_estimate_sec": 600,
            "start_time_estimate": stamp(in_s),
        },
    }


def stamp(in_s: float) -> str:
    """UTC in `in_s` seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + in_s))
