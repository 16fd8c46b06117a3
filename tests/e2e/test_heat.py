"""Heat of real loops on both faces: its energy, its limits, and what is said when they are missed.

The flow sensor and the thermometers are pymodbus servers, processes of their own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from e2e.emulator_client import Running, wait_for
from e2e.test_redundancy import FlowSensor, certificate, kinds, service, thermometer
from jsonschema import Draft202012Validator

import schemas

TODAY = datetime.now(UTC).date().isoformat()
REDFISH, MESSAGE = "/redfish/v1/dcpi/thermal/status", "/dcpi/thermal/status"
REDFISH_SCHEMA = json.loads(schemas.path("redfish/DcpiThermalStatus.v1_0_0.json").read_text())
SENSOR = "/redfish/v1/Chassis/DCPI/Sensors/Loop_plain_Heat"
UNCERTAIN = "Dcpi.1.0.HeatUncertain"


@pytest.fixture
def flow() -> Iterator[FlowSensor]:
    """1000 L/min."""
    sensor = FlowSensor(1000.0)
    yield sensor
    if sensor.process.poll() is None:
        sensor.kill()


@pytest.fixture
def text(tmp_path: Path, flow: FlowSensor) -> Iterator[str]:
    """Two loops of the same sensors, 30 and 35 Cel to ±0.1: of one they are a matched pair."""
    adam = thermometer(30.0, 35.0)
    for channel in (0, 1):
        name = f"rtd/temperature.ch{channel}"
        ranges = "{from: 0, to: 100, uncertainty: {abs: 0.1}}"
        certificate(tmp_path / "calibrations", name, "Cel", ranges, calibrated_on=TODAY)
    points = "supply: rtd/temperature.ch0, return: rtd/temperature.ch1, flow: flow/flow.volume"
    yield (
        "devices:\n"
        f"  - {{id: flow, profile: oem.tuf2000m, target: 'tcp://127.0.0.1:{flow.port}'}}\n"
        f"  - {{id: rtd, profile: advantech.adam6015, target: 'tcp://127.0.0.1:{adam.port}'}}\n"
        "loops:\n"
        f"  - {{id: plain, {points}}}\n"
        f"  - {{id: paired, {points}, pair: "
        f"{{certificate: CAL-7, calibrated_on: {TODAY}, uncertainty_k: 0.03}}}}\n"
    )
    adam.kill()


def _shown(bmc: Running) -> dict[str, Any]:
    """The Redfish face; empty before the first window."""
    answer = bmc.ask("GET", REDFISH)
    return dict(answer.body) if answer.status == 200 else {}


def _good(bmc: Running) -> dict[str, Any]:
    """The Redfish face as soon as both heats are known."""
    return dict(
        wait_for(lambda: (b := _shown(bmc)).get("TotalHeatWatts") and b, 30, "two known heats")
    )


def test_a_heat_that_misses_its_limit_says_so_on_both_faces(tmp_path: Path, text: str) -> None:
    """At 5 K two ±0.1 Cel are not enough, and the ΔT that is needed is named; a pair is enough."""
    with service(tmp_path, text) as bmc:
        plain, paired = _good(bmc)["Loops"]
        told = bmc.get(MESSAGE)["loops"]
        sensor = bmc.get(SENSOR)
    assert kinds(plain) == {(UNCERTAIN, "plain")}
    assert plain["Status"]["Health"] == "Warning"
    (condition,) = plain["Status"]["Conditions"]
    assert condition["Message"].endswith("this needs a temperature difference of 8.2 K")
    assert told[0]["warnings"] == [
        {"kind": "heat-uncertain", "sensor": "plain", "text": condition["Message"]}
    ]
    assert (kinds(paired), told[1]["warnings"]) == (set(), [])
    assert paired["Status"]["Health"] == "OK"
    assert plain["HeatUncertaintyWatts"] / plain["HeatWatts"] == pytest.approx(0.030, abs=5e-4)
    assert paired["HeatUncertaintyWatts"] / paired["HeatWatts"] == pytest.approx(0.0118, abs=5e-4)
    assert told[1]["heat_uncertainty_mw"] * 1e6 == pytest.approx(paired["HeatUncertaintyWatts"])
    assert kinds(sensor) == {(UNCERTAIN, "plain")}


def test_energy_counts_on_both_faces_and_over_a_kill(
    tmp_path: Path, text: str, flow: FlowSensor
) -> None:
    """Energy is heat times time, stands while the flow is lost, and goes on after kill -9."""
    with service(tmp_path, text) as bmc:
        first = _good(bmc)
        later = wait_for(
            lambda: (b := _good(bmc))["WindowId"] >= first["WindowId"] + 20 and b, 30, "2 s more"
        )
        _check_growth(first, later)
        message = bmc.get(MESSAGE)
        schemas.validator("messages/thermal_status").validate(message)
        Draft202012Validator(REDFISH_SCHEMA).validate(later)
        assert message["total_heat_energy_mwh"] * 1e3 >= later["TotalHeatEnergykWh"] > 0
        flow.kill()
        lost = wait_for(
            lambda: (b := _shown(bmc))["TotalHeatWatts"] is None and b, 30, "a heat that is unknown"
        )
        after = wait_for(
            lambda: (b := _shown(bmc))["WindowId"] >= lost["WindowId"] + 10 and b, 30, "1 s more"
        )
        _check_gap(lost, after)
        bmc.kill()
    with service(tmp_path, text) as bmc:
        again = wait_for(lambda: _shown(bmc), 30, "a window after the restart")
    registers, before = (body["Loops"][0]["HeatEnergyRegisters"] for body in (again, after))
    assert again["TotalHeatEnergykWh"] == pytest.approx(after["TotalHeatEnergykWh"], rel=1e-9)
    assert registers["MissingWindows"] > before["MissingWindows"]
    assert registers["Since"] == before["Since"]


def _check_growth(first: dict[str, Any], later: dict[str, Any]) -> None:
    """Both loops grew by their heat times the windows between, but for those that are told."""
    for before, now in zip(first["Loops"], later["Loops"], strict=True):
        seconds = (later["WindowId"] - first["WindowId"]) * 0.1
        seconds -= now["HeatEnergyRegisters"]["GapSeconds"]
        seconds += before["HeatEnergyRegisters"]["GapSeconds"]
        grown_kwh = now["HeatEnergykWh"] - before["HeatEnergykWh"]
        assert grown_kwh == pytest.approx(now["HeatWatts"] * seconds / 3.6e6, rel=1e-3)
        assert now["ReversedHeatEnergykWh"] == 0.0
    assert later["TotalHeatEnergykWh"] == pytest.approx(
        sum(loop["HeatEnergykWh"] for loop in later["Loops"])
    )


def _check_gap(lost: dict[str, Any], after: dict[str, Any]) -> None:
    """The energy stands, and the windows without it are counted."""
    windows = after["WindowId"] - lost["WindowId"]
    for before, now in zip(lost["Loops"], after["Loops"], strict=True):
        assert now["HeatWatts"] is None
        assert now["HeatEnergykWh"] == before["HeatEnergykWh"]
        had, has = before["HeatEnergyRegisters"], now["HeatEnergyRegisters"]
        gap = has["MissingWindows"] + has["InvalidWindows"]
        assert gap - had["MissingWindows"] - had["InvalidWindows"] == windows
        assert has["GapSeconds"] == pytest.approx(gap * 0.1)
        assert has["LastCounted"] == had["LastCounted"]
