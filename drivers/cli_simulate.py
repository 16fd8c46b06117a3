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
    REGISTER_FAULTS,
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
from drivers.simulation.point_values import PointValues
from drivers.simulation.served_values import Place, serve_values
from drivers.target import TcpTarget, parse_target

# How finely a device's time moves: as its fastest group measures, within these.
_FINEST_STEP_S = 0.01
_COARSEST_STEP_S = 0.1

_FAULT_HELP = "; ".join(f"{name} {what}" for name, what in FAULTS.items())


@click.command()
@click.argument("profile")
@click.option("--tcp", metavar="HOST:PORT", help="Serve there (SNMP by UDP).")
@click.option("--pty", type=click.Path(path_type=Path), help="Serve on a new pty.")
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Be a chip of Linux (sysfs) in this folder.",
)
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
    folder: Path | None,
    unit: int | None,
    fixed: Sequence[str],
    faults: Sequence[str],
    seed: int,
    speed: float,
    profile_dirs: Sequence[Path],
) -> None:
    """Be the device of PROFILE until Ctrl-C, moving as its profile says."""
    if sum(place is not None for place in (tcp, pty, folder)) != 1:
        raise Failure("give either --tcp HOST:PORT or --pty PATH or --folder PATH", 2)
    with clear_errors():
        loaded = load_profile(profile, profile_dirs)
        modbus = loaded.protocol == "modbus"
        simulated = SimulatedDevice(loaded) if modbus else PointValues(loaded)
        known = _faults(simulated.profile, faults)
        apply_to_device(simulated, known, seed)
        disturbance = Disturbance(simulated.profile, known, seed)
        values = _fixed_values(simulated.profile, fixed)
        behaviour = SimulatedBehaviour(simulated, values, disturbance)
        simulated.on_write = lambda point, value: click.echo(f"written: {point} = {value:g}")
        number = loaded.transport.unit if unit is None else unit
        with until_interrupted(), _served(simulated, number, tcp, pty, folder) as where:
            click.echo(f"{loaded.id} is unit {number} on {where}")
            _move(behaviour, speed)


def _faults(profile: Profile, texts: Sequence[str]) -> list[Fault]:
    try:
        faults = [parse_fault(text, profile) for text in texts]
    except ValueError as error:
        raise Failure(f"--fault {error}", 2) from None
    for fault in faults:
        if profile.protocol != "modbus" and fault.name in REGISTER_FAULTS:
            raise Failure(f"--fault {fault.name}: {profile.id} has no Modbus registers", 2)
    return faults


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
    simulated: SimulatedDevice | PointValues,
    unit: int,
    tcp: str | None,
    pty: Path | None,
    folder: Path | None,
) -> Iterator[str]:
    """The device on its server; gives the target that reaches it."""
    with contextlib.ExitStack() as stack:
        line = None if pty is None else stack.enter_context(contextlib.closing(PseudoTerminal(pty)))
        target = parse_target(f"tcp://{tcp or '127.0.0.1:0'}")
        assert isinstance(target, TcpTarget)
        if isinstance(simulated, PointValues):
            place = Place(target.host, target.port, line, folder)
            try:
                where = stack.enter_context(serve_values(simulated, place))
            except ValueError as error:
                raise Failure(str(error), 2) from error
        elif folder is not None:
            raise Failure("Modbus is served by --tcp or --pty", 2)
        elif line is not None:
            slave = ModbusRtuServer({unit: simulated}, line.master_fd)
            slave.start()
            stack.callback(slave.stop)
            where = f"serial://{line.path}"
        else:
            server = ModbusTcpServer({unit: simulated}, target.host, target.port)
            server.start()
            stack.callback(server.stop)
            where = f"tcp://{target.host}:{server.port}"
        # The name that was asked for stays when the pty's own changes.
        yield (
            where if line is None or pty is None else where.replace(line.path, str(pty.absolute()))
        )


def _move(behaviour: SimulatedBehaviour, speed: float) -> None:
    """Let time pass for a device, for ever."""
    last = time.monotonic()
    while True:
        time.sleep(min(_COARSEST_STEP_S, max(_FINEST_STEP_S, behaviour.fastest_s)))
        now = time.monotonic()
        behaviour.advance((now - last) * speed, now - last)
        last = now
