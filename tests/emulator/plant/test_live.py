"""The running plant, seen through its ports by peers that share no code with it."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from e2e.moving_truth import MovingTruth, moving_truth
from numpy.typing import NDArray
from pymodbus.client import ModbusSerialClient
from pymodbus.exceptions import ModbusException

from bmc_ext.config import parse_config

Plant = Any  # the PlantProcess of conftest.py, a module that tests cannot import
Listen = Callable[[Mapping[str, Any]], Any]
Until = Callable[..., None]


def flow_lpm(plant: Plant, device_id: str) -> float:
    """A TUF-2000M's first value: float, low word first, m³/h."""
    low, high = plant.registers(device_id, 0, 2)
    return float(struct.unpack(">f", struct.pack(">HH", high, low))[0]) / 60 * 1000


def channel_c(plant: Plant, device_id: str, channel: int) -> float:
    """An ADAM-6015's channel: 0 to 65535 over -50 to 150 °C."""
    return plant.registers(device_id, channel, 1)[0] / 65535 * 200 - 50


def float_be(registers: list[int]) -> float:
    """A float of two registers, high word first."""
    return float(struct.unpack(">f", struct.pack(">HH", *registers))[0])


def power_w(samples: NDArray[np.float64]) -> float:
    """Mean of the sum over the phases of v·i."""
    return float((samples[:3] * samples[3:]).sum(axis=0).mean())


def write_speed(plant: Plant, device_id: str, percent: float) -> None:
    """Write an FC102's speed reference: 0x4000 is 100 %."""
    client, unit = plant.modbus(device_id)
    with client:
        answer = client.write_register(2810, round(percent / 100 * 0x4000), device_id=unit)
        assert not answer.isError(), answer


def test_ready_line_is_a_valid_configuration(plant: Plant, tmp_path: Path) -> None:
    """The fragment passes the service's own schema and references, and describes the campus."""
    config = parse_config({**plant.config, "state_dir": str(tmp_path)}, base=tmp_path)
    assert config.facility.id == "campus-250mw"
    assert config.facility.contract_limit_w == 250e6
    assert [feed.id for feed in config.feeds] == [
        "hall_1",
        "hall_2",
        "hall_3",
        "hall_4",
        "cooling",
        "battery",
    ]
    assert len(config.loops) == 24
    assert len(config.silicon) == 4
    assert len(config.devices) == 4 * 24 + 8 + 2 + 1
    assert len(config.rack_pdus[0].outlets) == 6
    assert sum(device.target.startswith("serial://") for device in config.devices) == 1
    assert len({(device.target, device.unit) for device in config.devices}) == len(config.devices)
    assert all(loop.pump_setpoint is not None for loop in config.loops)


def test_streams_carry_the_truth_at_true_time(plant: Plant, listen: Listen) -> None:
    """Each feed's v·i is its true power within 0.5 %, and its samples are of this moment."""
    with moving_truth(plant.control) as truth:
        for feed in plant.config["feeds"][:4]:
            _check_stream(feed, listen, truth)


def _check_stream(feed: Mapping[str, Any], listen: Listen, truth: MovingTruth) -> None:
    with listen(feed) as peer:
        assert peer.greeting["epoch_ns"] % 100_000_000 == 0
        first, samples = peer.seconds(0.4)
        end_s = peer.greeting["epoch_ns"] * 1e-9 + (first + samples.shape[1]) / 12_800
        assert 0 <= time.time() - end_s < 0.5
        truth.check(power_w(samples), lambda all_: all_["feeds"][feed["id"]]["p_w"], rel=1e-3)
        volts = np.sqrt((samples[:3] ** 2).mean(axis=1)).mean()
        truth.check(volts, lambda all_: all_["feeds"][feed["id"]]["v_rms_v"], rel=1e-3)


def test_several_clients_get_the_same_samples(plant: Plant, listen: Listen) -> None:
    """Two clients of one feed see the same sample under the same index."""
    feed = plant.config["feeds"][0]
    with listen(feed) as one, listen(feed) as other:
        first_one, samples_one = one.seconds(0.3)
        first_other, samples_other = other.seconds(0.3)
        shift = first_other - first_one
        assert 0 <= shift < 2000
        common = samples_one.shape[1] - shift
        assert np.array_equal(samples_one[:, shift:], samples_other[:, :common])


def test_sensors_agree_with_the_truth(plant: Plant) -> None:
    """Flow, temperature, pressure, speed and power, decoded independently, fit the truth."""
    truth = plant.control.truth()
    loop = truth["loops"]["liquid_cooling_loop_i"]
    assert flow_lpm(plant, "loop_i_flow") == pytest.approx(loop["flow_lpm"], rel=0.01)
    assert channel_c(plant, "hall_2_supply_temperature", 2) == pytest.approx(
        loop["supply_c"], abs=0.25
    )
    assert channel_c(plant, "hall_2_return_temperature", 2) == pytest.approx(
        loop["return_c"], abs=0.3
    )
    assert channel_c(plant, "hall_2_supply_temperature", 6) == pytest.approx(
        truth["silicon"]["hall_2"], abs=0.3
    )
    assert float_be(plant.registers("loop_i_pressure", 256, 2)) == pytest.approx(
        loop["pressure_bar"], abs=0.015
    )
    speed = plant.registers("loop_i_pump", 2910, 1)[0] / 0x4000 * 100
    assert speed == pytest.approx(loop["pump_speed_percent"], abs=0.1)
    meter = plant.devices["cooling_meter"]
    shown_w = float_be(plant.registers("cooling_meter", 0x34, 2, fc=4))
    assert shown_w * meter["ct_ratio"] * meter["pt_ratio"] == pytest.approx(
        truth["feeds"]["cooling"]["p_w"], rel=0.012
    )


def test_serial_line_answers_independent_master(plant: Plant) -> None:
    """An independent master reads loop a's pressure over RTU, through the link's fixed name."""
    device = plant.devices["loop_a_pressure"]
    path = device["target"].removeprefix("serial://").partition("?")[0]
    with ModbusSerialClient(path, baudrate=9600, timeout=1, retries=0) as client:
        answer = client.read_holding_registers(256, count=2, device_id=device["unit"])
        assert not answer.isError(), answer
    true_bar = plant.control.truth()["loops"]["liquid_cooling_loop_a"]["pressure_bar"]
    assert float_be(answer.registers) == pytest.approx(true_bar, abs=0.015)


def test_pump_command_moves_flow_and_then_temperature(plant: Plant, until: Until) -> None:
    """A speed written over Modbus raises the flow that Modbus shows, and then lowers the return."""
    flow_before = flow_lpm(plant, "loop_h_flow")
    return_before = channel_c(plant, "hall_2_return_temperature", 1)
    try:
        write_speed(plant, "loop_h_pump", 90)
        assert plant.registers("loop_h_pump", 2810, 1)[0] == pytest.approx(0.9 * 0x4000, abs=1)
        until(lambda: flow_lpm(plant, "loop_h_flow") > 1.4 * flow_before, "flow", within_s=6)
        assert channel_c(plant, "hall_2_return_temperature", 1) > return_before - 0.5
        until(
            lambda: channel_c(plant, "hall_2_return_temperature", 1) < return_before - 0.7,
            "temperature",
            within_s=25,
        )
    finally:
        write_speed(plant, "loop_h_pump", 60)


def test_workload_raises_the_measured_power(plant: Plant, listen: Listen, until: Until) -> None:
    """An announced workload raises the power of all four streams by its own, and gives it back."""
    feeds = plant.config["feeds"][:4]

    def measured_w() -> float:
        total = 0.0
        for feed in feeds:
            with listen(feed) as peer:
                total += power_w(peer.seconds(0.2)[1])
        return total

    before_w = measured_w()
    plant.control.workload(
        "steady",
        start_unix_s=time.time() + 0.2,
        end_unix_s=None,
        baseline_w=60e6,
        peak_w=60e6,
        max_w=60e6,
        ramp_w_per_s=100e6,
    )
    until(
        lambda: plant.control.truth()["workloads"]["steady"]["power_w"] == pytest.approx(60e6),
        "the workload's full power",
    )
    assert measured_w() - before_w == pytest.approx(60e6, rel=0.02)
    plant.control.workload_remove("steady")
    until(lambda: not plant.control.truth()["workloads"], "the workload has gone")
    assert measured_w() == pytest.approx(before_w, rel=0.02)


def test_stopped_devices_are_unreachable_while_the_plant_runs(plant: Plant, until: Until) -> None:
    """Units fall silent and own ports close while truth goes on; all of them come back."""
    names = ("loop_c_flow", "loop_a_pressure", "cooling_meter", "hall_3_gateway")
    for name in names:
        plant.control.device_stop(name)
    begin_s = plant.control.truth()["unix_s"]
    with pytest.raises(ModbusException):
        flow_lpm(plant, "loop_c_flow")
    assert flow_lpm(plant, "loop_b_flow") > 0
    client, _ = plant.modbus("cooling_meter")
    assert not client.connect()
    client, _ = plant.modbus("loop_m_flow")
    assert not client.connect()
    path = plant.devices["loop_a_pressure"]["target"].removeprefix("serial://").partition("?")[0]
    with (
        ModbusSerialClient(path, baudrate=9600, timeout=0.3, retries=0) as line,
        pytest.raises(ModbusException),
    ):
        line.read_holding_registers(256, count=2, device_id=1)
    assert plant.control.truth()["unix_s"] > begin_s + 0.5
    for name in names:
        plant.control.device_start(name)
    assert flow_lpm(plant, "loop_c_flow") > 0
    assert flow_lpm(plant, "loop_m_flow") > 0
    assert plant.registers("cooling_meter", 0x46, 2, fc=4)


def test_stopped_stream_ends_and_comes_back(plant: Plant, listen: Listen) -> None:
    """A hall's stream can be stopped like a device, and returns on the same port."""
    feed = plant.config["feeds"][3]
    with listen(feed) as peer:
        peer.frame()
        plant.control.device_stop("hall_4")
        with pytest.raises(AssertionError, match="the stream ended"):
            peer.seconds(5)
    with pytest.raises(ConnectionRefusedError):
        listen(feed)
    plant.control.device_start("hall_4")
    with listen(feed) as peer:
        peer.frame()


def test_drive_that_ignores_writes(plant: Plant) -> None:
    """A drive told to ignore writes acknowledges them and keeps its reference."""
    plant.control.device_ignore_writes("loop_x_pump", True)
    try:
        before = plant.registers("loop_x_pump", 2810, 1)
        write_speed(plant, "loop_x_pump", 10)
        assert plant.registers("loop_x_pump", 2810, 1) == before
    finally:
        plant.control.device_ignore_writes("loop_x_pump", False)
