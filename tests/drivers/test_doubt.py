"""Cross-checks at work: a device that is read wrongly is not believed."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from pymodbus.client import ModbusTcpClient

from bmc_ext.telemetry.meter_feed import MeterFeed
from drivers.engine import DeviceSpec, Engine
from drivers.profile import load_profile
from drivers.reading import Quality
from drivers.simulation import ModbusTcpServer, SimulatedBehaviour, SimulatedDevice

WaitUntil = Callable[[Callable[[], bool], float], float]
RunEngine = Callable[..., Engine]
ServeTcp = Callable[[dict[int, SimulatedDevice]], ModbusTcpServer]
Independent = Callable[..., Any]

_LIVE = {
    0x00: 230.1, 0x02: 229.7, 0x04: 230.4, 0x06: 17.9, 0x08: 18.3, 0x0A: 17.4,
    0x0C: 4001.3, 0x0E: 4102.7, 0x10: 3899.9, 0x34: 12003.9, 0x46: 50.02, 0x48: 1234.567,
}  # fmt: skip


def _meter_image(values: dict[int, float], word_order: Any = "big") -> dict[int, list[int]]:
    """The registers of an SDM630 as pymodbus writes them."""
    registers = [0] * 76
    for address, value in values.items():
        registers[address : address + 2] = ModbusTcpClient.convert_to_registers(
            value, ModbusTcpClient.DATATYPE.FLOAT32, word_order=word_order
        )
    return {0: registers}


def _polled(engine: Engine, wait_until: WaitUntil) -> None:
    wait_until(lambda: engine.statistics("m").polls >= 3, 3.0)


@pytest.mark.parametrize("frequency_hz", [50.02, 50.0, 60.0])
def test_a_wrong_word_order_is_not_believed(
    independent_server: Independent,
    run_engine: RunEngine,
    wait_until: WaitUntil,
    frequency_hz: float,
) -> None:
    """A meter that answers low word first has no known value, and the statistics say why."""
    image = _meter_image(_LIVE | {0x46: frequency_hz}, "little")
    server = independent_server(registers=image)
    engine = run_engine(DeviceSpec("m", "eastron.sdm630", server.target))
    _polled(engine, wait_until)
    readings = engine.readings("m").values()
    assert {reading.value for reading in readings} == {None}
    assert Quality.OK not in {reading.quality for reading in readings}
    assert "check fails: |" in str(engine.statistics("m").last_error)
    feed = MeterFeed("f", "m", engine).values()
    assert (feed.quality, feed.p_w, feed.phases) == (Quality.OUT_OF_RANGE, None, ())


@pytest.mark.parametrize(
    "values",
    [
        {},
        {0x48: 1234.567},
        {0x00: 57.7, 0x02: 57.7, 0x04: 57.7, 0x46: 50.0},
        {0x00: 110.0, 0x34: 900.0, 0x46: 49.9},
        {0x0C: 1000.0, 0x0E: -1000.4, 0x34: -0.4, 0x46: 50.0},
        {0x0C: 0.4, 0x34: 0.0, 0x46: 50.0},
        {0x00: 12.0, 0x46: float("nan")},
    ],
    ids=["dead", "dead, counted", "57.7 V", "three-wire", "balanced", "idle", "no frequency"],
)
def test_an_unusual_feed_is_no_wrong_reading(
    independent_server: Independent,
    run_engine: RunEngine,
    wait_until: WaitUntil,
    values: dict[int, float],
) -> None:
    """A feed without voltage, behind transformers or without load is believed."""
    server = independent_server(registers=_meter_image(values))
    engine = run_engine(DeviceSpec("m", "eastron.sdm630", server.target, 1, 300.0, 57.735))
    _polled(engine, wait_until)
    assert engine.reading("m", "power.active.total").quality is Quality.OK
    assert engine.reading("m", "voltage.L1").quality is Quality.OK
    assert engine.statistics("m").errors == 0


def test_a_device_that_is_read_rightly_again_is_believed(
    serve_tcp: ServeTcp, run_engine: RunEngine, wait_until: WaitUntil
) -> None:
    """While a check fails nothing is known; a check that cannot be told changes nothing."""
    device = SimulatedDevice(load_profile("eastron.sdm630"))
    SimulatedBehaviour(device)
    server = serve_tcp({1: device})
    engine = run_engine(DeviceSpec("m", "eastron.sdm630", f"tcp://127.0.0.1:{server.port}"))

    def quality() -> Quality:
        return engine.reading("m", "voltage.L1").quality

    wait_until(lambda: quality() is Quality.OK, 3.0)
    device.set("frequency", 2e-26)
    wait_until(lambda: quality() is Quality.OUT_OF_RANGE, 1.0)
    assert engine.statistics("m").last_error == "check fails: |frequency - 55| <= 15"
    device.set("frequency", None)
    polls = engine.statistics("m").polls
    wait_until(lambda: engine.statistics("m").polls > polls + 3, 2.0)
    assert quality() is Quality.OUT_OF_RANGE
    device.set("frequency", 50.0)
    wait_until(lambda: quality() is Quality.OK, 1.0)


@pytest.mark.parametrize(
    ("profile", "point", "values"),
    [
        ("keller.33x", "pressure.P1", {256: 2.5, 258: 21.4, 930: 10.0}),
        ("oem.tuf2000m", "flow.volume", {0: 150.1, 6: 1510.3}),
    ],
)
def test_other_devices_notice_a_wrong_word_order(
    independent_server: Independent,
    run_engine: RunEngine,
    wait_until: WaitUntil,
    profile: str,
    point: str,
    values: dict[int, float],
) -> None:
    """Swapped words of a transmitter or a flow meter are found out as well."""
    swapped: Any = "big" if load_profile(profile).points[point].order == "CDAB" else "little"
    image = {**dict.fromkeys(range(0, 16), 0), **dict.fromkeys(range(928, 932), 0), 71: 0}
    image |= dict.fromkeys((91, 92, 93), 80)
    for address, value in values.items():
        image[address], image[address + 1] = ModbusTcpClient.convert_to_registers(
            value, ModbusTcpClient.DATATYPE.FLOAT32, word_order=swapped
        )
    server = independent_server(registers={a: [register] for a, register in sorted(image.items())})
    engine = run_engine(DeviceSpec("m", profile, server.target))
    wait_until(lambda: "check fails" in str(engine.statistics("m").last_error), 3.0)
    wait_until(lambda: engine.reading("m", point).quality is Quality.OUT_OF_RANGE, 1.0)


def test_probe_says_that_a_check_fails(independent_server: Independent) -> None:
    """`device probe` shows the failing check and no value, in tables free of log lines."""
    server = independent_server(registers=_meter_image(_LIVE, "little"))
    result = subprocess.run(
        [
            sys.executable, "-c", "from drivers.cli import device; device(prog_name='device')",
            "probe", "--tcp", server.target.removeprefix("tcp://"), "--unit", "1",
            "--profile", "eastron.sdm630",
        ],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "check FAILS, no value is believed: |frequency - 55| <= 15" in result.stdout
    assert not re.search(r"power\.active\.total .* ok", result.stdout)
    assert result.stderr == ""
