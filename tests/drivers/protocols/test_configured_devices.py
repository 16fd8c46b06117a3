"""Devices of every protocol in one configuration and one engine."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from rich.console import Console

from bmc_ext.config import parse_config
from drivers import cli_tables
from drivers.engine import DeviceSpec, Engine
from drivers.errors import TargetError
from drivers.profile import load_profile
from drivers.reading import Quality
from drivers.simulation import PseudoTerminal, SimulatedBehaviour
from drivers.simulation.point_values import PointValues
from drivers.simulation.served_values import Place, serve_values

_IDS = ("sunspec.meter_203", "kamstrup.multical_601", "apc.rpdu2", "linux.adm1275", "lakeshore.218")


def test_a_configuration_may_name_devices_of_any_protocol(
    tmp_path: Path,
    stack: ExitStack,
    run_engine: Callable[..., Engine],
    wait_until: Callable[[Callable[[], bool], float], float],
) -> None:
    """A meter, a heat meter, a PDU, a hot-swap chip and a monitor are read side by side."""
    devices = []
    for name in _IDS:
        values = PointValues(load_profile(name))
        SimulatedBehaviour(values)
        folder = tmp_path / name
        folder.mkdir()
        target = stack.enter_context(serve_values(values, Place(folder=folder)))
        devices.append({"id": name, "profile": name, "target": target})
    config = parse_config(
        {
            "facility": {"id": "site", "rated_power_w": 1e6},
            "state_dir": "state",
            "devices": devices,
            "feeds": [{"id": "f", "rated_power_w": 1e6, "meter": "sunspec.meter_203"}],
            "loops": [],
        },
        base=tmp_path,
    )
    engine = run_engine(*config.devices)
    for name in _IDS:
        wait_until(
            lambda d=name: {r.quality for r in engine.readings(d).values()} == {Quality.OK}, 10.0
        )
    power = engine.reading("linux.adm1275", "power.in").value
    assert power == pytest.approx(498.35, rel=1e-3)


def test_a_target_of_another_protocol_is_refused() -> None:
    """A profile's protocol decides what its target looks like, and the error says how."""
    for name, target in (
        ("apc.rpdu2", "tcp://127.0.0.1:502"),
        ("kamstrup.multical_601", "serial:///dev/ttyS0"),
        ("eastron.sdm630", "snmp://127.0.0.1?community=public"),
    ):
        config = parse_config(
            {
                "facility": {"id": "site", "rated_power_w": 1e6},
                "state_dir": "state",
                "devices": [{"id": "d", "profile": name, "target": target}],
                "feeds": [{"id": "f", "rated_power_w": 1e6, "meter": "d"}],
                "loops": [],
            },
            base=Path(),
        )
        with pytest.raises(TargetError, match=r"is not|is neither"):
            Engine(config.devices)


@pytest.mark.parametrize("name", ["sunspec.meter_203", "kamstrup.multical_601", "lakeshore.218"])
def test_a_simulated_device_may_be_on_a_pty(
    name: str,
    stack: ExitStack,
    run_engine: Callable[..., Engine],
    wait_until: Callable[[Callable[[], bool], float], float],
) -> None:
    """What a serial line can carry is read over one."""
    values = PointValues(load_profile(name))
    SimulatedBehaviour(values)
    line = PseudoTerminal()
    stack.callback(line.close)
    target = stack.enter_context(serve_values(values, Place(pty=line)))
    engine = run_engine(DeviceSpec("d", name, target))
    wait_until(lambda: {r.quality for r in engine.readings("d").values()} == {Quality.OK}, 10.0)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ietf.ups_mib", "over UDP only"),
        ("linux.lm75", "in a folder only"),
        ("keller.33x", "of modbus nothing is simulated"),
    ],
)
def test_a_place_that_a_protocol_has_not_is_refused(name: str, reason: str) -> None:
    """SNMP on a line, a chip without a folder, plain Modbus: each is told."""
    line = PseudoTerminal()
    try:
        with (
            pytest.raises(ValueError, match=reason),
            serve_values(PointValues(load_profile(name)), Place(pty=line)),
        ):
            pass
    finally:
        line.close()


@pytest.mark.parametrize("name", _IDS)
def test_show_says_where_each_point_is(name: str) -> None:
    """`device show` names each point, and its place in the words of its protocol."""
    screen = io.StringIO()
    profile = load_profile(name)
    for part in cli_tables.profile(profile):
        Console(file=screen, width=300).print(part)
    for point in profile.points.values():
        member, value = next(iter(point.at.items()))
        line = next(line for line in screen.getvalue().splitlines() if f" {point.name} " in line)
        assert f"{member} {value}" in line


@pytest.mark.parametrize("name", [name for name in _IDS if not name.startswith("linux")])
def test_a_silent_device_is_lost_and_found(
    name: str,
    tmp_path: Path,
    stack: ExitStack,
    run_engine: Callable[..., Engine],
    wait_until: Callable[[Callable[[], bool], float], float],
) -> None:
    """Whatever it speaks: comm-error soon after it falls silent, ok when it speaks again."""
    values = PointValues(load_profile(name))
    SimulatedBehaviour(values)
    target = stack.enter_context(serve_values(values, Place(folder=tmp_path)))
    engine = run_engine(DeviceSpec("d", name, target))
    point = next(iter(values.profile.points))
    wait_until(lambda: engine.reading("d", point).quality is Quality.OK, 10.0)
    values.silent = True
    wait_until(lambda: engine.reading("d", point).quality is Quality.COMM_ERROR, 3.0)
    values.silent = False
    wait_until(lambda: engine.reading("d", point).quality is Quality.OK, 10.0)
