"""`dcpi-bmc emulate` and `dcpi-bmc plant`: the mock BMC and a hand on its simulated campus."""

from __future__ import annotations

import functools
import importlib.util
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from bmc_ext.clock import parse_iso8601
from bmc_ext.commands.state_folder import StateFolder
from bmc_ext.errors import ConfigurationError
from bmc_ext.state import StateDirectory, default_state_path
from emulator.faults.scenario import CALM, load_scenario
from emulator.plant.client import PlantControl
from emulator.plant.errors import ControlError, PlantError
from emulator.plant.facility import load_facility
from emulator.plant.socket_path import control_socket
from emulator.plant_process import PlantProcess
from emulator.shifted_clock import ShiftedClock

if TYPE_CHECKING:
    from emulator.mock_bmc import MockBmc

USER = "root"
PASSWORD = "dcpi-lab"  # the lab's published default: loopback only, never used by `serve`

_LATEST_S = 7_258_118_400.0  # 2200-01-01: times of samples are 64-bit nanoseconds
_MAX_COUNT = 100  # beyond it the BMCs' ticks alone take most of a core


@click.command()
@click.option("--facility", default="campus-250mw", show_default=True, help="Which campus.")
@click.option(
    "--count",
    type=click.IntRange(1, _MAX_COUNT),
    default=1,
    show_default=True,
    help="So many BMCs, each with its own accounts, machines and certificate, over one campus.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8443,
    show_default=True,
    help="Of the first BMC; the next ones follow. 0 picks free ones.",
)
@click.option("--state-dir", type=StateFolder(), help="Where state lives.")
@click.option(
    "--seed", type=click.IntRange(0), help="Of all chance: the scenario's, or 1, without it."
)
@click.option("--scenario", help="Which faults come and go: a shipped name or a file.")
@click.option("--legacy/--no-legacy", default=True, help="Serve what Redfish has deprecated, too.")
@click.option(
    "--clock",
    metavar="TIME",
    help="Begin at this time (2028-02-29T23:59:00Z) instead of now; passwords, sessions, "
    "certificates and the audit log keep the real one.",
)
@click.option(
    "--libvirt-uri",
    metavar="URI",
    help="Show libvirt's domains as the systems (qemu:///system) instead of a made-up one.",
)
def emulate(
    facility: str,
    count: int,
    port: int,
    state_dir: Path | None,
    seed: int | None,
    scenario: str | None,
    legacy: bool,
    clock: str | None,
    libvirt_uri: str | None,
) -> None:
    """Run the mock BMC: a simulated campus on real protocols behind a Redfish service.

    With --count all BMCs show the same campus and command the same devices: a set point that one
    of them writes is seen by all. What they know of workloads, grid signals and subscriptions is
    their own.
    """
    if importlib.util.find_spec("sushy_tools") is None:
        raise click.ClickException("emulate needs sushy-tools: pip install 'dcpi-bmc[emulator]'")
    console = Console(stderr=True)
    path = state_dir or default_state_path() / "emulator"
    if port and port + count - 1 > 65535:
        raise click.UsageError(f"--port {port}: {count} ports from there end above 65535")
    if libvirt_uri and count > 1:
        raise click.UsageError("--libvirt-uri: the same domains cannot belong to several BMCs")
    time_of_day = _clock(clock)
    script = CALM if scenario is None else load_scenario(scenario)
    seed = script.seed if seed is None else seed
    try:
        campus = load_facility(facility)
        control_socket(path / "plant")
    except PlantError as error:
        raise ConfigurationError(str(error)) from error
    state = StateDirectory(path)
    with PlantProcess(
        facility, seed=seed, state_dir=state.path / "plant", ahead_ns=time_of_day.ahead_ns
    ) as plant:
        # Only now: it takes as long to import as the plant takes to start.
        from emulator.lab import Lab, Rehearsal

        plant.watch(lambda status: _mourn(console, status))
        shown = campus.facility.name
        lab = Lab(
            plant,
            state,
            time_of_day,
            port=port,
            legacy=legacy,
            login=(USER, PASSWORD),
            libvirt_uri=libvirt_uri,
        )
        faults = Rehearsal(campus, script, seed, functools.partial(_tell, console))
        if count == 1:
            lab.serve_one(faults, lambda _, bound: _announce(console, shown, bound))
        else:
            lab.serve_many(count, faults, _Roll(console, shown, count).answer)


def _clock(text: str | None) -> ShiftedClock:
    if text is None:
        return ShiftedClock(0)
    try:
        begin_s = parse_iso8601(text)
    except ValueError as error:
        raise click.UsageError(
            f"--clock {text}: not a date and time with its UTC offset, as 2028-02-29T23:59:00Z"
        ) from error
    if not 0 <= begin_s < _LATEST_S:
        raise click.UsageError(f"--clock {text}: only the years 1970 to 2199 can be shown")
    return ShiftedClock(round(begin_s * 1e9) - time.time_ns())


class _Roll:
    """Prints the table of all BMCs once the last of them answers."""

    def __init__(self, console: Console, facility: str, count: int) -> None:
        self._console = console
        self._facility = facility
        self._count = count
        self._lock = threading.Lock()
        self._rows: dict[int, str] = {}

    def answer(self, number: int, bmc: MockBmc, port: int) -> None:
        """One of them answers; again where it was restarted."""
        with self._lock:
            if number in self._rows:
                return
            self._rows[number] = f"  {number:3}  https://127.0.0.1:{port}  {bmc.uuid}"
            if len(self._rows) == self._count:
                self._print()

    def _print(self) -> None:
        head = f"[bold]dcpi-bmc[/bold] emulates {self._facility} as {self._count} BMCs"
        self._console.print(f"{head}  (Ctrl-C stops them)", highlight=False)
        for _, row in sorted(self._rows.items()):
            self._console.print(row, highlight=False, soft_wrap=True)
        self._console.print(f"  user {USER}, password {PASSWORD}", highlight=False)


def _tell(console: Console, line: str) -> None:
    console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)


def _announce(console: Console, facility: str, port: int) -> None:
    url = f"https://127.0.0.1:{port}"
    console.print(
        f"[bold]dcpi-bmc[/bold] emulates {facility} on {url}  (Ctrl-C stops it)", highlight=False
    )
    console.print(f"  user {USER}, password {PASSWORD}; try:", highlight=False)
    console.print(
        f"  curl -ku {USER}:{PASSWORD} {url}/redfish/v1/dcpi/power/realtime",
        highlight=False,
        soft_wrap=True,
    )


def _mourn(console: Console, status: int) -> None:
    console.print(
        f"[bold]warning[/bold]: the plant has ended with status {status}: its devices answer "
        "nothing any more; stop this emulator and start it again",
        highlight=False,
        soft_wrap=True,
    )


@click.group()
@click.option("--state-dir", type=StateFolder(), help="The emulator's state.")
@click.pass_context
def plant(ctx: click.Context, state_dir: Path | None) -> None:
    """Look into a running emulator's plant, and let its devices fail."""
    ctx.obj = state_dir or default_state_path() / "emulator"


@contextmanager
def _control(state_dir: Path) -> Iterator[PlantControl]:
    """The plant of the emulator whose state is there; what it refuses becomes one line."""
    try:
        control = PlantControl(control_socket(state_dir / "plant"))
    except PlantError:
        raise click.ClickException(
            f"no emulator runs on {state_dir}: start one, or name its folder with "
            "`plant --state-dir`"
        ) from None
    try:
        yield control
    except ControlError as error:
        raise click.ClickException(str(error)) from error


@plant.command()
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
@click.pass_obj
def truth(state_dir: Path, as_json: bool) -> None:
    """Show what is really so, whatever the sensors say."""
    with _control(state_dir) as control:
        state = control.truth()
    if as_json:
        click.echo(json.dumps(state))
        return
    console = Console()
    feeds = Table("Feed", "Power MW", title="Feeds")
    for name, feed in state["feeds"].items():
        feeds.add_row(name, f"{feed['p_w'] / 1e6:.3f}")
    loops = Table("Loop", "Flow L/min", "Supply °C", "Return °C", "Heat MW", title="Coolant loops")
    for name, loop in state["loops"].items():
        loops.add_row(
            name,
            f"{loop['flow_lpm']:.0f}",
            f"{loop['supply_c']:.2f}",
            f"{loop['return_c']:.2f}",
            f"{loop['heat_w'] / 1e6:.3f}",
        )
    console.print(feeds, loops)


@plant.command()
@click.argument("device")
@click.pass_obj
def stop(state_dir: Path, device: str) -> None:
    """Take a device off its bus: it answers nothing any more.

    DEVICE is a device (cooling_meter, loop_a_flow, loop_a_pump, hall_1_supply_temperature), a
    gateway with all that is behind it (hall_1_gateway), or the waveforms of a feed (hall_1).
    """
    with _control(state_dir) as control:
        control.device_stop(device)


@plant.command()
@click.argument("device")
@click.pass_obj
def start(state_dir: Path, device: str) -> None:
    """Put a stopped device back on its bus."""
    with _control(state_dir) as control:
        control.device_start(device)


@plant.command()
@click.argument("loop")
@click.option("--dry", is_flag=True, help="End the leak.")
@click.pass_obj
def leak(state_dir: Path, loop: str, dry: bool) -> None:
    """Let it leak under LOOP (liquid_cooling_loop_a): its leak cable gets wet."""
    with _control(state_dir) as control:
        control.leak(loop, not dry)
