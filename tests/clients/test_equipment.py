"""The redfish-utilities of cooling and power equipment show the plant's truth."""

from __future__ import annotations

import re

import pytest
from clients.conftest import Clients

from emulator.plant.client import PlantControl

_NEAR = 0.05
LOOP = "liquid_cooling_loop_a"


def _skip_unless_served(clients: Clients, subject: str) -> None:
    if subject not in clients.bmc.get("/redfish/v1/"):
        pytest.skip(f"the service has no {subject}")


def test_rf_thermal_equipment_tells_the_truth(clients: Clients, plant: PlantControl) -> None:
    """A cooling unit's flow, temperatures and pump speed are the loop's."""
    _skip_unless_served(clients, "ThermalEquipment")
    which = ("--type", "CDU", "--equipment", LOOP)
    out = clients.utility("rf_thermal_equipment", "status", *which)
    row = re.search(
        r"Secondary Id.*\n\s*1\s*\|\s*([\d.]+)\s*\|\s*([\d.]+)\s*\|[^|]*\|\s*([\d.]+)", out
    )
    speed = re.search(r"Speed \(%\).*\n.*\|\s*([\d.]+)\s*$", out, re.MULTILINE)
    assert row is not None, out
    assert speed is not None, out
    truth = plant.truth()["loops"][LOOP]
    shown = [float(text) for text in (*row.groups(), speed[1])]
    names = ("flow_lpm", "supply_c", "return_c", "pump_speed_percent")
    assert shown == pytest.approx([truth[name] for name in names], rel=_NEAR)


def test_rf_power_equipment_tells_the_truth(clients: Clients, plant: PlantControl) -> None:
    """A feed's mains show its power and its frequency."""
    _skip_unless_served(clients, "PowerEquipment")
    which = ("--type", "Switchgear", "--equipment", "hall_1")
    out = clients.utility("rf_power_equipment", "mainsinfo", *which)
    power = re.search(r"^  Power: ([\d.]+) W", out, re.MULTILINE)
    frequency = re.search(r"^  Frequency: ([\d.]+) Hz", out, re.MULTILINE)
    assert power is not None, out
    assert frequency is not None, out
    truth = plant.truth()["feeds"]["hall_1"]
    assert float(power[1]) == pytest.approx(truth["p_w"], rel=_NEAR)
    assert float(frequency[1]) == pytest.approx(truth["frequency_hz"], rel=0.001)
