"""The rack PDU: what its outlets give, what is switched at it, and what it keeps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from emulator.plant.campus import Campus
from emulator.plant.facility import Facility
from emulator.plant.field_devices import RACK_PDU, FieldDevices
from emulator.plant.plant import Plant
from emulator.plant.truth import truth_of

START = 1_790_000_000.0


def build(facility: Facility) -> tuple[Campus, FieldDevices]:
    """A campus with its devices."""
    campus = Campus(facility, 1, START)
    return campus, FieldDevices(campus, 1)


def tick(campus: Campus, devices: FieldDevices, count: int) -> None:
    """Let that many 100 ms pass."""
    for _ in range(count):
        campus.step()
        devices.measure()


def test_it_shows_its_outlets_and_their_sums(facility: Facility) -> None:
    """Each outlet within its meter's class, lines and total as sums of them."""
    campus, devices = build(facility)
    tick(campus, devices, 20)
    device = devices.devices[RACK_PDU]
    shown = [device.get(f"power.active.outlet{n}") for n in range(1, 7)]
    for value, outlet in zip(shown, truth_of(campus)["rack_pdu"], strict=True):
        assert value == pytest.approx(outlet["power_w"], rel=0.007, abs=1)
        assert outlet["on"]
    assert device.get("power.active.total") == pytest.approx(sum(shown), abs=6)  # type: ignore[arg-type]
    assert device.get("power.active.L2") == pytest.approx(shown[2] + shown[3], abs=2)  # type: ignore[operator]
    apparent_va = shown[2] / 0.97  # type: ignore[operator]
    volts, amps = device.get("voltage.L2"), device.get("current.outlet3")
    assert volts * amps == pytest.approx(apparent_va, rel=0.01)  # type: ignore[operator]
    assert volts == pytest.approx(230, rel=0.03)


def test_a_switch_opens_its_relay_and_no_other(facility: Facility) -> None:
    """What a master writes is done at the outlet, whose power and current fall to nothing."""
    campus, devices = build(facility)
    device = devices.devices[RACK_PDU]
    device.write_registers(1, [0])
    tick(campus, devices, 6)
    assert np.flatnonzero(~campus.rack_pdu.is_on).tolist() == [1]
    assert device.get("state.outlet2") == device.get("power.active.outlet2") == 0
    assert device.get("current.outlet2") == 0
    assert device.get("state.outlet1") == 1
    energy_j = campus.rack_pdu.energy_j.copy()
    tick(campus, devices, 10)
    grown = campus.rack_pdu.energy_j - energy_j
    assert grown[1] == 0
    assert (grown[[0, 2, 3, 4, 5]] > 0).all()
    device.write_registers(1, [1])
    tick(campus, devices, 6)
    assert device.get("power.active.outlet2") > 100  # type: ignore[operator]


def test_its_counters_outlive_the_plant(facility: Facility, tmp_path: Path) -> None:
    """They are kept with the meters', and a state without them starts them at nothing."""
    plant = Plant(facility, 1, tmp_path)
    plant.start()
    plant.stop()
    kept = json.loads((tmp_path / "meters.json").read_text(encoding="utf-8"))
    kept["rack_pdu"] = [3.6e6 * number for number in range(6)]
    (tmp_path / "meters.json").write_text(json.dumps(kept), encoding="utf-8")
    again = Plant(facility, 1, tmp_path).truth()["rack_pdu"]
    assert again[5]["energy_j"] == pytest.approx(18e6, rel=1e-3)
    del kept["rack_pdu"]
    (tmp_path / "meters.json").write_text(json.dumps(kept), encoding="utf-8")
    fresh = Plant(facility, 1, tmp_path).truth()["rack_pdu"]
    assert fresh[5]["energy_j"] < 1000
