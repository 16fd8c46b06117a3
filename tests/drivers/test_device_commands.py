"""`dcpi-bmc device`: run as a user would, each command in a process of its own."""

from __future__ import annotations

import io
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pymodbus.client import ModbusSerialClient, ModbusTcpClient
from rich.console import Console

from drivers import cli_tables
from drivers.profile import list_profiles, load_profile
from drivers.simulation import ModbusTcpServer, SimulatedBehaviour, SimulatedDevice
from tests.drivers.device_command import run

ServeTcp = Callable[[dict[int, SimulatedDevice]], ModbusTcpServer]
ServeRtu = Callable[[dict[int, SimulatedDevice]], str]


def moving(name: str) -> SimulatedDevice:
    """A simulated device that measures what its profile says."""
    device = SimulatedDevice(load_profile(name))
    SimulatedBehaviour(device)
    return device


def test_list_shows_every_profile() -> None:
    """The table of profiles names each one with its device."""
    result = run("list")
    assert result.returncode == 0
    for name in ("eastron.sdm630", "oem.tuf2000m", "keller.33x", "advantech.adam6015"):
        assert name in result.stdout
    assert "Danfoss VLT HVAC Drive FC 102" in result.stdout


def test_list_keeps_names_whole_at_80_columns() -> None:
    """On a narrow screen only the device's long name is wrapped."""
    screen = io.StringIO()
    Console(file=screen, width=80).print(cli_tables.profiles(list_profiles()))
    for profile in list_profiles():
        assert re.search(rf"{re.escape(profile.id)} +{profile.kind} ", screen.getvalue())


@pytest.mark.parametrize("name", [p.id for p in list_profiles() if p.protocol == "modbus"])
def test_show_breaks_no_address_and_no_heading_at_80_columns(name: str) -> None:
    """On a terminal of the usual width each point's name and register stand in one line."""
    screen = io.StringIO()
    profile = load_profile(name)
    for part in cli_tables.profile(profile):
        Console(file=screen, width=80).print(part)
    shown = screen.getvalue()
    assert re.search(r"point +register +unit +range +accuracy +group", shown)
    for point in profile.points.values():
        register = f"{point.fc}:0x{point.address:04X} {point.type}"
        assert re.search(rf"{re.escape(point.name)} +{register}", shown)


def test_show_tells_all_about_a_profile() -> None:
    """Points, units, bounds, groups and sources of a profile are shown."""
    result = run("show", "keller.33x")
    assert result.returncode == 0
    assert re.search(r"pressure\.P1 +3:0x0100 f32 ABCD +bar absolute +0 to 30 ", result.stdout)
    assert "source (manual): KELLER communication protocol" in result.stdout
    assert "0 to 100 (fc 6)" in run("show", "danfoss.fc102").stdout


@pytest.mark.parametrize(
    ("arguments", "status", "error"),
    [
        (["show", "nobody.knows"], 2, "no device profile 'nobody.knows'"),
        (["show", "missing.yaml"], 2, "missing.yaml: No such file"),
        (["probe"], 2, "give either --tcp HOST[:PORT] or --serial PORT"),
        (["probe", "--tcp", "127.0.0.1:99999"], 2, "Port out of range"),
        (["probe", "--tcp", "127.0.0.1:1"], 1, "connection refused"),
        (["probe", "--serial", "/dev/no-such-line", "--unit", "1"], 1, "No such file"),
        (["probe", "--tcp", "127.0.0.1:1", "--unit", "9-3"], 2, "is not a unit"),
        (["simulate", "keller.33x"], 2, "give either --tcp HOST:PORT or --pty PATH"),
        (["simulate", "keller.33x", "--tcp", "h", "--set", "x=1"], 2, "has no point 'x'"),
        (["simulate", "keller.33x", "--tcp", "h", "--set", "pressure.P1=high"], 2, "not a number"),
    ],
)
def test_errors_are_one_clear_line(arguments: list[str], status: int, error: str) -> None:
    """Bad usage is status 2, what ran and failed is 1; stderr says why, without a traceback."""
    result = run(*arguments)
    assert result.returncode == status
    assert error in result.stderr
    assert "Traceback" not in result.stderr
    assert not result.stderr.startswith("\n")


def test_a_taken_port_is_a_failure(serve_tcp: ServeTcp) -> None:
    """Serving where somebody serves already is status 1 with the address."""
    port = serve_tcp({1: moving("keller.33x")}).port
    result = run("simulate", "keller.33x", "--tcp", f"127.0.0.1:{port}")
    assert result.returncode == 1
    assert f"127.0.0.1:{port} cannot be served" in result.stderr


def test_probe_finds_and_identifies_what_is_behind_a_gateway(serve_tcp: ServeTcp) -> None:
    """Three devices behind one port are found, identified and shown with live values."""
    devices = {
        1: moving("eastron.sdm630"), 2: moving("oem.tuf2000m"), 5: moving("keller.33x")
    }  # fmt: skip
    devices[2].set("flow.volume", 2500.0)
    server = serve_tcp(devices)
    result = run("probe", "--tcp", f"127.0.0.1:{server.port}", "--unit", "1-6")
    assert result.returncode == 0, result.stderr
    for unit, name in ((1, "eastron.sdm630"), (2, "oem.tuf2000m"), (5, "keller.33x")):
        assert re.search(rf"^ +{unit} +{name}", result.stdout, re.MULTILINE)
        assert f"unit {unit} ({name})" in result.stdout
    assert re.search(r"flow\.volume +2500 +L/min +ok", result.stdout)
    assert "unit 3 (" not in result.stdout


def test_probe_finds_a_device_on_a_serial_line(serve_rtu: ServeRtu) -> None:
    """A drive on a serial line is found and identified."""
    path = serve_rtu({2: moving("danfoss.fc102")})
    result = run("probe", "--serial", path, "--unit", "1-2", "--timeout", "0.1")
    assert result.returncode == 0, result.stderr
    assert re.search(r"speed\.reference +59\.99\d+ +% +ok", result.stdout)


def test_probe_of_an_independent_device_reads_by_the_named_profile(
    independent_server: Callable[..., Any],
) -> None:
    """A device that no profile fits is said to be unknown, and can be read by a named one."""
    server = independent_server(registers={0: [0] * 7})
    address = server.target.removeprefix("tcp://")
    unknown = run("probe", "--tcp", address, "--unit", "1")
    assert unknown.returncode == 1
    assert "no profile fits" in unknown.stderr
    named = run("probe", "--tcp", address, "--unit", "1", "--profile", "abb.acs580")
    assert named.returncode == 0, named.stderr
    assert re.search(r"speed\.actual +0 +% +ok", named.stdout)


def test_probe_of_a_silent_bus_is_a_failure(serve_tcp: ServeTcp) -> None:
    """Nobody there is status 1 and one line that says where was asked."""
    server = serve_tcp({200: moving("keller.33x")})
    result = run("probe", "--tcp", f"127.0.0.1:{server.port}", "--unit", "1-3")
    assert result.returncode == 1
    assert f"no unit of 1-3 answers on tcp://127.0.0.1:{server.port}" in result.stderr


def test_simulate_serves_tcp_until_it_is_stopped(
    start: Callable[..., tuple[subprocess.Popen[str], str]],
) -> None:
    """An independent master finds the simulated device, the held point and moving others."""
    process, line = start(
        "simulate", "eastron.sdm630", "--tcp", "127.0.0.1:0", "--set", "frequency=49.5"
    )
    port = re.search(r"eastron\.sdm630 is unit 1 on tcp://127\.0\.0\.1:(\d+)", line)
    assert port is not None, line
    with ModbusTcpClient("127.0.0.1", port=int(port[1]), timeout=10) as master:
        registers = master.read_input_registers(0x46, count=2, device_id=1).registers
        assert master.convert_from_registers(registers, master.DATATYPE.FLOAT32) == 49.5
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""


def test_simulate_serves_a_pty_and_tells_of_writes(
    tmp_path: Path, start: Callable[..., tuple[subprocess.Popen[str], str]]
) -> None:
    """The pty appears where asked, a write is reported, and the link goes with the command."""
    link = tmp_path / "drive"
    process, line = start("simulate", "abb.acs580", "--pty", str(link), "--unit", "3")
    assert line.strip() == f"abb.acs580 is unit 3 on serial://{link}"
    with ModbusSerialClient(str(link), baudrate=19200, timeout=10) as master:
        assert not master.write_register(1, 5000, device_id=3).isError()
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "written: speed.reference = 25"
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert not link.is_symlink()
