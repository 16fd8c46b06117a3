"""`dcpi-bmc device`: the profiles, and the vendor's bench to look at a device or to be one."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.progress import Progress

from drivers import cli_tables
from drivers.cli_check import check
from drivers.cli_options import (
    Failure,
    clear_errors,
    profile_dirs_option,
    quiet,
    until_interrupted,
)
from drivers.cli_simulate import simulate
from drivers.engine import DeviceSpec, Engine
from drivers.errors import TransportError
from drivers.modbus_rtu import RtuTransport
from drivers.modbus_tcp import TcpTransport
from drivers.probe import FoundUnit, scan
from drivers.profile import Profile, list_profiles, load_profile
from drivers.protocol import Transport
from drivers.reading import Quality
from drivers.target import SerialTarget, TcpTarget, parse_target

_STEP_S = 0.1
_FIRST_READINGS_S = 3.0
_REFRESH_S = 0.5
# So many units that all answer are one device that does not look at the unit.
_SUSPICIOUS_UNITS = 4


class _UnitRange(click.ParamType[range]):
    """Units as `3` or `1-32`."""

    name = "N[-M]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> range:
        """The range of units, both ends included."""
        first, _, last = str(value).partition("-")
        last = last or first
        if not (first.isdecimal() and last.isdecimal() and int(first) <= int(last) <= 255):
            self.fail(f"{value!r} is not a unit from 0 to 255 or a range such as 1-32", param, ctx)
        return range(int(first), int(last) + 1)


@click.group()
def device() -> None:
    """Field devices: their profiles, finding, simulating and checking them."""


device.add_command(simulate)
device.add_command(check)


@device.command("list")
@profile_dirs_option
def list_command(profile_dirs: Sequence[Path]) -> None:
    """List the known device profiles."""
    with clear_errors():
        cli_tables.console().print(cli_tables.profiles(list_profiles(profile_dirs)))


@device.command()
@click.argument("profile")
@profile_dirs_option
def show(profile: str, profile_dirs: Sequence[Path]) -> None:
    """Show PROFILE (an id or a file): its points, groups and sources."""
    with clear_errors():
        for part in cli_tables.profile(load_profile(profile, profile_dirs)):
            cli_tables.console().print(part)


@device.command()
@click.option("--tcp", metavar="HOST[:PORT]", help="A Modbus TCP device or gateway.")
@click.option("--serial", metavar="PORT", help="A serial line, for example /dev/ttyUSB0.")
@click.option(
    "--baud", type=click.IntRange(300, 4_000_000), help="Try only this rate on the serial line."
)
@click.option(
    "--framing",
    type=click.Choice(["8N1", "8N2", "8E1", "8O1"]),
    default="8N1",
    show_default=True,
    help="Framing of the serial line, with --baud.",
)
@click.option(
    "--unit", "units", multiple=True, type=_UnitRange(), help="Units to ask; 1-10 if not given."
)
@click.option("--profile", help="Read by this profile instead of identifying.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(0.01, 10.0), default=0.3)
@click.option("--follow", is_flag=True, help="Keep the readings live until Ctrl-C.")
@profile_dirs_option
def probe(
    tcp: str | None,
    serial: str | None,
    baud: int | None,
    framing: str,
    units: Sequence[range],
    profile: str | None,
    timeout_s: float,
    follow: bool,
    profile_dirs: Sequence[Path],
) -> None:
    """Find the units on a bus, identify them and show their points."""
    if (tcp is None) == (serial is None):
        raise Failure("give either --tcp HOST[:PORT] or --serial PORT", 2)
    asked = sorted({unit for part in units for unit in part} or range(1, 11))
    with clear_errors():
        known = [load_profile(profile, profile_dirs)] if profile else list_profiles(profile_dirs)
        profiles = [entry for entry in known if entry.protocol == "modbus"]
        if not profiles:
            raise Failure(f"{profile} does not speak Modbus, which is what can be searched", 2)
        lines = _lines(tcp, serial, profiles, (baud, framing) if baud else None)
        target, found = _find(lines, asked, profiles, timeout_s)
        _report(target, found, profiles[0] if profile else None, follow, timeout_s, profile_dirs)


def _lines(
    tcp: str | None,
    serial: str | None,
    profiles: Sequence[Profile],
    setting: tuple[int, str] | None,
) -> list[tuple[str, Transport]]:
    """The target texts to try and their transports; a serial line may speak at several rates."""
    if tcp is not None:
        target = parse_target(f"tcp://{tcp}")
        assert isinstance(target, TcpTarget)
        return [(target.bus, TcpTransport(target))]
    assert serial is not None
    usual = dict.fromkeys(
        (p.transport.baud[0], p.transport.framing) for p in profiles if "rtu" in p.transport.modes
    )
    settings = [setting] if setting else list(usual) or [(9600, "8N1")]
    path = str(Path(serial).absolute())
    return [
        (
            f"serial://{path}?baud={baud}&framing={framing}",
            RtuTransport(SerialTarget(path), baud, framing),
        )
        for baud, framing in settings
    ]


def _find(
    lines: Sequence[tuple[str, Transport]],
    units: Sequence[int],
    profiles: Sequence[Profile],
    timeout_s: float,
) -> tuple[str, list[FoundUnit]]:
    """The first line on which anybody answers, and who does."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("asking", total=float(len(units) * len(lines)))
        done = 0

        def trying(unit: int, share: float) -> None:
            progress.update(task, completed=done + share, description=f"{target} unit {unit}")

        for target, transport in lines:
            found = []
            with contextlib.closing(transport):
                for unit, answer in scan(transport, units, profiles, timeout_s, trying):
                    done += 1
                    trying(unit, 0.0)
                    if answer is not None:
                        found.append(answer)
            if found:
                return target, found
    asked = ", ".join(target for target, _ in lines)
    raise TransportError(f"no unit of {units[0]}-{units[-1]} answers on {asked}")


def _report(
    target: str,
    found: list[FoundUnit],
    chosen: Profile | None,
    follow: bool,
    timeout_s: float,
    profile_dirs: Sequence[Path],
) -> None:
    console = cli_tables.console()
    if len(found) >= _SUSPICIOUS_UNITS and len({unit.profiles for unit in found}) == 1:
        console.print(f"{len(found)} units answer alike: one device that ignores the unit, or more")
        found = found[:1]
    console.print(cli_tables.found_units(target, found))
    specs = []
    for unit in found:
        best = chosen or next(iter(unit.profiles), None)
        if best is not None:
            name = f"unit {unit.unit} ({best.id})"
            timeout_ms = 1000.0 * max(timeout_s, best.transport.timeout_s)
            specs.append(DeviceSpec(name, str(best.path), target, unit.unit, timeout_ms=timeout_ms))
    if not specs:
        raise Failure("no profile fits; name one with --profile to read by it", 1)
    with quiet():
        _show_readings(console, Engine(specs, profile_dirs=profile_dirs), follow)


def _show_readings(console: Console, engine: Engine, follow: bool) -> None:
    engine.start()
    try:
        deadline = time.monotonic() + _FIRST_READINGS_S
        while time.monotonic() < deadline and not _settled(engine):
            time.sleep(_STEP_S)
        if not follow:
            console.print(cli_tables.readings(engine))
            console.print(cli_tables.checks(engine))
            return
        with Live(cli_tables.readings(engine), console=console) as live, until_interrupted():
            while True:
                time.sleep(_REFRESH_S)
                live.update(cli_tables.readings(engine))
    finally:
        engine.stop()


def _settled(engine: Engine) -> bool:
    """Whether every point was read once."""
    return all(
        reading.quality not in (Quality.STALE, Quality.COMM_ERROR)
        for device_id in engine.device_ids
        for reading in engine.readings(device_id).values()
    )
