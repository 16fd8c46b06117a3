"""A device beside another device that is better: what agrees passes, what does not fails."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drivers.check import (
    Bench,
    CheckSettings,
    DeviceReference,
    TableReference,
    Verdict,
    judge,
)
from drivers.profile import Profile
from drivers.simulation import ModbusTcpServer, SimulatedDevice

TRUTH = {
    10: 2000.0, 12: 3.0, 14: 20.0, 16: 31.0, 18: 70.0, 20: 50_000.0, 22: 150_000.0
}  # fmt: skip
SHOWN = {
    "flow.loop": 2000.0, "pressure.loop": 3.0, "temperature.supply": 20.3,
    "temperature.return": 31.0, "temperature.silicon": 70.0, "power.active": 50_500.0,
    "power.thermal": 150_000.0, "energy.counter": 1e6, "pump.reference": 40.0,
}  # fmt: skip


def test_a_second_device_is_the_reference(
    station: Profile,
    serve_tcp: Callable[[dict[int, SimulatedDevice]], ModbusTcpServer],
    independent_server: Callable[..., Any],
) -> None:
    """An independent server holds what is true, with the uncertainty that its profile states."""
    device = SimulatedDevice(station)
    device.update(SHOWN)
    registers = [0] * 10
    for address, value in TRUTH.items():
        registers += list(struct.unpack(">HH", struct.pack(">f", value)))
        assert len(registers) == address + 2
    other = independent_server(registers={0: registers + [0] * 5})
    settings = CheckSettings(
        station,
        f"tcp://127.0.0.1:{serve_tcp({1: device}).port}",
        1,
        duration_s=2.0,
        reference=DeviceReference(station, other.target, 1),
    )
    seen = Bench(settings).run()
    assert seen.reference is not None
    assert not seen.reference.simulated
    accuracy = {f.point: f.verdict for f in judge(seen) if f.requirement == "accuracy"}
    assert accuracy == {
        "flow.loop": Verdict.PASS,
        "pressure.loop": Verdict.PASS,
        "temperature.supply": Verdict.FAIL,
        "temperature.return": Verdict.PASS,
        "temperature.silicon": Verdict.PASS,
        "power.active": Verdict.FAIL,
        "power.thermal": Verdict.PASS,
    }


def test_a_table_that_breaks_during_the_check_is_noted(
    station: Profile,
    serve_tcp: Callable[[dict[int, SimulatedDevice]], ModbusTcpServer],
    tmp_path: Path,
) -> None:
    """The device's own findings stay; nothing is said against a table that says nothing."""
    device = SimulatedDevice(station)
    device.update(SHOWN)
    table = tmp_path / "lab.csv"
    table.write_text("time,flow.loop\n1,2000\n")
    target = f"tcp://127.0.0.1:{serve_tcp({1: device}).port}"
    bench = Bench(CheckSettings(station, target, 1, 2.0, reference=TableReference(table)))
    table.write_text("time,flow.loop\n1,ERR\n")
    seen = bench.run()
    assert any(":2: flow.loop: 'ERR' is no number" in note for note in seen.notes)
    found = {f.requirement: f for f in judge(seen) if f.point in (None, "flow.loop")}
    assert found["answers"].verdict is Verdict.PASS
    assert found["accuracy"].verdict is Verdict.INCONCLUSIVE


def test_a_factor_is_named_though_the_quantity_moved(
    station: Profile,
    serve_tcp: Callable[[dict[int, SimulatedDevice]], ModbusTcpServer],
    tmp_path: Path,
) -> None:
    """What the device shows now is held against what is true now, not on average."""
    device = SimulatedDevice(station)
    device.update(SHOWN | {"flow.loop": 200.0})
    table = tmp_path / "lab.csv"
    table.write_text("time,flow.loop\n1,3000\n2,4000\n3,2000\n")
    target = f"tcp://127.0.0.1:{serve_tcp({1: device}).port}"
    settings = CheckSettings(station, target, 1, 2.0, reference=TableReference(table))
    seen = Bench(settings).run()
    assert [s.text for s in seen.suspicions] == ["flow.loop is 10 times too small"]
