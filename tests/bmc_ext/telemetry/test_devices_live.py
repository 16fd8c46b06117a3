"""Meters and a loop behind the real engine, over Modbus TCP: their loss and their return."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bmc_ext.config import parse_config
from bmc_ext.domain.snapshot import Snapshot
from bmc_ext.settings import Config
from bmc_ext.state import StateDirectory
from bmc_ext.telemetry.collector import Collector
from drivers.engine import Engine
from drivers.profile import load_profile
from drivers.reading import Quality
from drivers.simulation import ModbusTcpServer, SimulatedDevice

UNITS = {"eastron.sdm630": 1, "oem.tuf2000m": 2, "advantech.adam6015": 3, "keller.33x": 4}


@pytest.fixture
def servers() -> Iterator[dict[str, ModbusTcpServer]]:
    """One server for a meter, another for the sensors of a loop at 30/40 Cel and 1000 L/min."""
    devices = {unit: SimulatedDevice(load_profile(name)) for name, unit in UNITS.items()}
    devices[1].set("power.active.total", 12_000.0)
    devices[2].set("flow.volume", 1000.0)
    devices[3].set("temperature.ch0", 30.0)
    devices[3].set("temperature.ch1", 40.0)
    devices[4].set("pressure.P1", 3.0)
    meter = ModbusTcpServer({1: devices.pop(1)})
    found = {"meter": meter, "loop": ModbusTcpServer(devices)}
    for server in found.values():
        server.start()
    yield found
    for server in found.values():
        server.stop()


def _config(servers: dict[str, ModbusTcpServer], base: Path) -> Config:
    return parse_config(
        {
            "facility": {"id": "site", "rated_power_w": 1e6},
            "state_dir": "state",
            "devices": [
                {
                    "id": profile,
                    "profile": profile,
                    "unit": unit,
                    "target": f"tcp://127.0.0.1:{servers['meter' if unit == 1 else 'loop'].port}",
                }
                for profile, unit in UNITS.items()
            ],
            "feeds": [{"id": "f", "rated_power_w": 1e5, "meter": "eastron.sdm630"}],
            "loops": [
                {
                    "id": "loop",
                    "supply": "advantech.adam6015/temperature.ch0",
                    "return": "advantech.adam6015/temperature.ch1",
                    "flow": "oem.tuf2000m/flow.volume",
                    "pressure": "keller.33x/pressure.P1",
                }
            ],
        },
        base=base,
    )


@pytest.fixture
def collector(
    servers: dict[str, ModbusTcpServer], state: StateDirectory, tmp_path: Path
) -> Iterator[Collector]:
    """A collector that ticks on the readings of these devices."""
    config = _config(servers, tmp_path)
    engine = Engine(config.devices)
    collector = Collector(config, engine, state)
    engine.start()
    collector.start()
    yield collector
    collector.stop()
    engine.stop()


def _wait_for(collector: Collector, feed: Quality, loop: Quality, limit_s: float) -> Snapshot:
    """The first snapshot with these qualities; fails when it takes longer."""
    deadline = time.monotonic() + limit_s
    window_id = 0
    while time.monotonic() < deadline:
        snapshot = collector.store.wait_newer(window_id, 1.0)
        assert snapshot is not None
        assert window_id in (0, snapshot.window_id - 1), "a window is missing"
        if (snapshot.feeds[0].quality, snapshot.loops[0].quality) == (feed, loop):
            return snapshot
        window_id = snapshot.window_id
    pytest.fail(f"not {feed} and {loop} within {limit_s} s")


def test_a_killed_server_is_seen_and_so_is_its_return(
    collector: Collector, servers: dict[str, ModbusTcpServer]
) -> None:
    """A dead meter is comm-error within 1 s while the loop goes on; it is back within 5 s."""
    snapshot = _wait_for(collector, Quality.OK, Quality.OK, 5.0)
    assert snapshot.feeds[0].p_w == pytest.approx(12_000.0, rel=1e-5)
    loop = snapshot.loops[0]
    # ρ(30)·cp(35) of water, IAPWS-95: 995.6 kg/m³ and 4178 J/(kg·K).
    assert loop.heat_w == pytest.approx(995.6 * 4178.0 / 60 * 10, rel=3e-3)
    assert loop.heat_uncertainty_w is not None
    assert loop.phase_state == "single-phase-liquid"
    servers["meter"].stop()
    snapshot = _wait_for(collector, Quality.COMM_ERROR, Quality.OK, 1.0)
    assert snapshot.total.p_w is None
    assert snapshot.loops[0].heat_w is not None
    servers["meter"].start()
    _wait_for(collector, Quality.OK, Quality.OK, 5.0)
