"""Coils and discrete inputs: packed bits on the wire, points of 0 and 1 here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pymodbus.client import ModbusTcpClient

from drivers.engine import DeviceSpec, Engine
from drivers.profile import Profile, load_profile
from drivers.read_plan import plan_reads
from drivers.reading import Quality
from drivers.simulation import ModbusTcpServer, SimulatedDevice

# Eleven of each: more than a byte, and no pattern that another bit order would give, too.
_BITS = [1, 1, 0, 1, 0, 0, 0, 1, 0, 1, 1]


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    """Eleven coils from 5 on and eleven discrete inputs from 100 on."""
    points = [f"  coil.{k}: {{addr: {5 + k}, fc: 1, unit: '1'}}" for k in range(11)]
    points += [f"  input.{k}: {{addr: {100 + k}, fc: 2, unit: '1'}}" for k in range(11)]
    path = tmp_path / "bits.yaml"
    path.write_text(
        "profile: device-profile/1\nid: acme.bits\nvendor: ACME\nmodel: B\nkind: LeakDetector\n"
        "sources: [{ref: none, verified: restated}]\n"
        "transport: {modes: [rtu, tcp], max_regs: {fc1: 16, fc2: 16}}\n"
        "defaults: {type: bool, group: all}\n"
        "groups: {all: {every_ms: 100, source_ms: 100, stale_after_ms: 5000}}\n"
        "points:\n" + "\n".join(points)
    )
    return load_profile(path)


@pytest.fixture
def device(profile: Profile) -> SimulatedDevice:
    """Its coils hold the pattern, its inputs the opposite."""
    simulated = SimulatedDevice(profile)
    simulated.update({f"coil.{k}": float(bit) for k, bit in enumerate(_BITS)})
    simulated.update({f"input.{k}": float(1 - bit) for k, bit in enumerate(_BITS)})
    return simulated


@pytest.mark.parametrize("wire", ["tcp", "rtu"])
def test_coils_and_inputs_are_read(
    wire: str,
    profile: Profile,
    device: SimulatedDevice,
    serve_tcp: Callable[[dict[int, SimulatedDevice]], ModbusTcpServer],
    serve_rtu: Callable[[dict[int, SimulatedDevice]], str],
    run_engine: Callable[..., Engine],
    wait_until: Callable[[Callable[[], bool], float], float],
) -> None:
    """Functions 1 and 2 over TCP and over a serial line give each bit to its point."""
    if wire == "tcp":
        target = f"tcp://127.0.0.1:{serve_tcp({1: device}).port}"
    else:
        target = f"serial://{serve_rtu({1: device})}?baud=115200"
    engine = run_engine(DeviceSpec("d", str(profile.path), target, 1))
    wait_until(lambda: {r.quality for r in engine.readings("d").values()} == {Quality.OK}, 10.0)
    readings = engine.readings("d")
    assert [readings[f"coil.{k}"].value for k in range(11)] == _BITS
    assert [readings[f"input.{k}"].value for k in range(11)] == [1 - bit for bit in _BITS]


def test_reads_keep_the_limit_of_their_function(profile: Profile) -> None:
    """What one function may fetch does not bound the other."""
    points = [point for point in profile.points.values() if point.fc in (1, 2)]
    limited = replace(profile.transport, max_regs_of={1: 4, 2: 16})
    blocks = plan_reads(points, limited).blocks
    assert [(block.fc, block.count) for block in blocks] == [(1, 4), (1, 4), (1, 3), (2, 11)]


def test_an_independent_master_reads_the_simulated_bits(
    device: SimulatedDevice, serve_tcp: Callable[[dict[int, SimulatedDevice]], ModbusTcpServer]
) -> None:
    """An independent master reads the same bits, and is refused beyond them."""
    with ModbusTcpClient("127.0.0.1", port=serve_tcp({1: device}).port, timeout=5.0) as master:
        assert master.read_coils(5, count=11, device_id=1).bits[:11] == [bool(b) for b in _BITS]
        inputs = master.read_discrete_inputs(100, count=11, device_id=1).bits[:11]
        assert inputs == [not bit for bit in _BITS]
        assert master.read_coils(5, count=12, device_id=1).isError()
        assert master.read_coils(5, count=17, device_id=1).isError()
