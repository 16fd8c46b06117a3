"""Registers that follow the physics, without any transport."""

from __future__ import annotations

import itertools
import struct

import numpy as np
import pytest

from emulator.plant.campus import Campus
from emulator.plant.facility import Facility
from emulator.plant.field_devices import TICK_S, FieldDevices
from emulator.plant.truth import truth_of

START = 1_790_000_000.0


def build(facility: Facility, seed: int = 1) -> tuple[Campus, FieldDevices]:
    """A campus with its devices."""
    campus = Campus(facility, seed, START)
    return campus, FieldDevices(campus, seed)


def tick(campus: Campus, devices: FieldDevices, count: int) -> None:
    """Let that many 100 ms pass."""
    for _ in range(count):
        for _ in range(round(TICK_S * 100)):
            campus.step()
        devices.measure()


def test_readings_lie_within_their_class(facility: Facility) -> None:
    """In steady state every sensor shows the truth within its maker's class, and none exactly."""
    campus, devices = build(facility)
    tick(campus, devices, 300)
    truth = truth_of(campus)
    for position, (loop_id, loop) in enumerate(truth["loops"].items()):
        name = loop_id.removeprefix("liquid_cooling_")
        module = f"hall_{position // 6 + 1}"
        channel = f"temperature.ch{position % 6}"
        shown = {
            "flow_lpm": devices.devices[f"{name}_flow"].get("flow.volume"),
            "pressure_bar": devices.devices[f"{name}_pressure"].get("pressure.P1"),
            "pump_speed_percent": devices.devices[f"{name}_pump"].get("speed.actual"),
            "supply_c": devices.devices[f"{module}_supply_temperature"].get(channel),
            "return_c": devices.devices[f"{module}_return_temperature"].get(channel),
        }
        allowed = {
            "flow_lpm": 0.01 * loop["flow_lpm"],
            "pressure_bar": 0.01,
            "pump_speed_percent": 0.01,
            "supply_c": 0.2,
            "return_c": 0.25,
        }
        for quantity, bound in allowed.items():
            assert shown[quantity] == pytest.approx(loop[quantity], abs=bound), (loop_id, quantity)
        assert shown["flow_lpm"] != loop["flow_lpm"]
    for feed_id in ("cooling", "battery"):
        meter = devices.devices[f"{feed_id}_meter"]
        true = truth["feeds"][feed_id]
        assert meter.get("power.active.total") == pytest.approx(true["p_w"], rel=0.01, abs=2e5)
        assert meter.get("voltage.L2") == pytest.approx(true["v_rms_v"], rel=2e-3)
        assert meter.get("energy.active.import") == pytest.approx(
            true["energy_import_j"], rel=0.05, abs=1e6
        )


def test_meters_stay_within_their_terminals(facility: Facility) -> None:
    """Behind their transformers the meters see volts and amperes that a real one can take."""
    campus, devices = build(facility)
    tick(campus, devices, 10)
    for feed_id in ("cooling", "battery"):
        registers = devices.devices[f"{feed_id}_meter"].read_registers(4, 0, 12)
        values = struct.unpack(">6f", struct.pack(">12H", *registers))
        assert all(100 < volts < 290 for volts in values[:3])
        assert all(0 <= amperes < 6 for amperes in values[3:])


def test_each_device_keeps_its_own_interval(facility: Facility) -> None:
    """Flow meters take a value every 0.5 s, energy meters every 1 s, thermometers every 0.1 s."""
    campus, devices = build(facility)
    points = {
        "loop_c_flow": "flow.volume",
        "cooling_meter": "power.active.total",
        "hall_2_supply_temperature": "temperature.ch6",
        "loop_c_pressure": "pressure.P1",
    }
    seen: dict[str, list[float | None]] = {name: [] for name in points}
    for _ in range(40):
        tick(campus, devices, 1)
        for name, point in points.items():
            seen[name].append(devices.devices[name].get(point))
    changes = {
        name: sum(a != b for a, b in itertools.pairwise(values)) for name, values in seen.items()
    }
    assert changes["loop_c_flow"] in (7, 8)
    assert changes["cooling_meter"] in (3, 4)
    assert changes["hall_2_supply_temperature"] > 25
    assert changes["loop_c_pressure"] == 39


def test_a_written_reference_reaches_the_pump(facility: Facility) -> None:
    """A master's write of the speed reference becomes the pump's reference, bounded to 0..100 %."""
    campus, devices = build(facility)
    devices.devices["loop_b_pump"].write_registers(2810, [0x2000])
    assert campus.coolant.reference_percent[1] == pytest.approx(50)
    devices.devices["loop_b_pump"].write_registers(2810, [0x7FFF])
    assert campus.coolant.reference_percent[1] == 100


def test_same_seed_gives_same_registers(facility: Facility) -> None:
    """Devices are as deterministic as the physics; another seed has other sensor errors."""

    def flows(seed: int) -> list[float | None]:
        campus, devices = build(facility, seed)
        tick(campus, devices, 20)
        return [
            device.get("flow.volume") for name, device in devices.devices.items() if "flow" in name
        ]

    first = flows(4)
    assert first == flows(4)
    assert not np.any(np.array(first) == np.array(flows(5)))


def test_temperature_follows_with_the_wells_lag(facility: Facility) -> None:
    """A thermometer in its well shows about 63 % of a step after two seconds."""
    campus, devices = build(facility)
    module = devices.devices["hall_1_return_temperature"]
    before = module.get("temperature.ch0")
    assert before is not None
    campus.coolant.temperature_c += 20
    for _ in range(20):
        devices.measure()
    after = module.get("temperature.ch0")
    assert after is not None
    assert (after - before) / 20 == pytest.approx(0.632, abs=0.02)
