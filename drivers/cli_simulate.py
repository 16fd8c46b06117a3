"""`dcpi-bmc device simulate`: be a device, whole or with faults."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from drivers.cli_options import Failure, clear_errors, profile_dirs_option, until_interrupted
from drivers.profile import Profile, load_profile
from drivers.simulation import (
    FAULTS,
    Disturbance,
    Fault,
    ModbusRtuServer,
    ModbusTcpServer,
    PseudoTerminal,
    SimulatedBehaviour,
    SimulatedDevice,
    apply_to_device,
    parse_fault,
)
from drivers.target import TcpTarget, parse_target

# How finely a device's time moves: as its fastest group measures, within these.
_FINEST_STEP_S = 0.01
_COARSEST_STEP_S = 0.1

_FAULT_HELP = "; ".join(f"{name} {what}" for name, what in FAULTS.items())


@click.command()
@click.argument("profile")
@click.option("--tcp", metavar="HOST:PORT", help="Serve Modbus TCP there.")
@click.option("--pty", type=click.Path(path_type=Path), help="Serve Modbus RTU on a new pty.")
@click.option("--unit", type=click.IntRange(0, 255), help="The unit; the profile's if not given.")
@click.option(
    "--set",
    "fixed",
    multiple=True,
    metavar="POINT=VALUE",
    help="Hold a point at a value in its canonical unit.",
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="[POINT:]NAME[=VALUE]",
    help=f"A fault; may be given several times. {_FAULT_HELP}. In canonical units or %.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of whatever is random.")
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="How many times as fast the device's world moves; how often it measures stays.",
)
@profile_dirs_option
def simulate(
    profile: str,
    tcp: str | None,
    pty: Path | None,
    unit: int | None,
    fixed: Sequence[str],
    faults: Sequence[str],
    seed: int,
    speed: float,
    profile_dirs: Sequence[Path],
) -> None:
    """Be the device of PROFILE until Ctrl-C, moving as its profile says."""
    if (tcp is None) == (pty is None):
        raise Failure("give either --tcp HOST:PORT or --pty PATH", 2)
    with clear_errors():
        loaded = load_profile(profile, profile_dirs)
        if loaded.protocol != "modbus":
            raise Failure(f"{loaded.id} speaks {loaded.protocol}; Modbus can be simulated", 2)
        simulated = SimulatedDevice(loaded)
        known = _faults(simulated.profile, faults)
        apply_to_device(simulated, known, seed)
        disturbance = Disturbance(simulated.profile, known, seed)
        values = _fixed_values(simulated.profile, fixed)
        behaviour = SimulatedBehaviour(simulated, values, disturbance)
        simulated.on_write = lambda point, value: click.echo(f"written: {point} = {value:g}")
        devices = {simulated.profile.transport.unit if unit is None else unit: simulated}
        with until_interrupted(), _served(devices, tcp, pty) as where:
            click.echo(f"{simulated.profile.id} is unit {next(iter(devices))} on {where}")
            _move(behaviour, speed)


def _faults(profile: Profile, texts: Sequence[str]) -> list[Fault]:
    try:
        return [parse_fault(text, profile) for text in texts]
    except ValueError as error:
        raise Failure(f"--fault {error}", 2) from None


def _fixed_values(profile: Profile, fixed: Sequence[str]) -> dict[str, float]:
    values = {}
    for text in fixed:
        name, _, number = text.partition("=")
        if name not in profile.points:
            raise Failure(f"--set {text}: {profile.id} has no point {name!r}", 2)
        try:
            values[name] = float(number)
        except ValueError:
            raise Failure(f"--set {text}: {number!r} is not a number", 2) from None
    return values


@contextlib.contextmanager
def _served(
    devices: dict[int, SimulatedDevice], tcp: str | None, pty: Path | None
) -> Iterator[str]:
    """The devices on their server; gives the target that reaches it."""
    if tcp is not None:
        target = parse_target(f"tcp://{tcp}")
        assert isinstance(target, TcpTarget)
        server = ModbusTcpServer(devices, target.host, target.port)
        server.start()
        try:
            yield f"tcp://{target.host}:{server.port}"
        finally:
            server.stop()
        return
    with contextlib.closing(PseudoTerminal(pty)) as line:
        slave = ModbusRtuServer(devices, line.master_fd)
        slave.start()
        try:
            yield f"serial://{pty.absolute() if pty else line.path}"
        finally:
            slave.stop()


def _move(behaviour: SimulatedBehaviour, speed: float) -> None:
    """Let time pass for a device, for ever."""
    last = time.monotonic()
    while True:
        time.sleep(min(_COARSEST_STEP_S, max(_FINEST_STEP_S, behaviour.fastest_s)))
        now = time.monotonic()
        behaviour.advance((now - last) * speed, now - last)
        last = now
