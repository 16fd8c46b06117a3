"""`dcpi-bmc emulate` and `dcpi-bmc plant`: the mock BMC and a hand on its simulated campus."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from bmc_ext.config import Config, parse_config
from bmc_ext.errors import ConfigurationError
from bmc_ext.service import on_same_port
from bmc_ext.state import StateDirectory, default_state_path
from emulator.faults.control import controlled
from emulator.faults.front import FrontFaults
from emulator.faults.injector import Injector
from emulator.faults.scenario import CALM, Player, load_scenario
from emulator.faults.service import FaultyService
from emulator.host import SushyHost
from emulator.plant.client import PlantControl
from emulator.plant.errors import ControlError, PlantError
from emulator.plant.facility import load_facility
from emulator.plant.socket_path import control_socket
from emulator.plant_process import PlantProcess
from emulator.workloads import PlantWorkloads

USER = "root"
PASSWORD = "dcpi-lab"  # the lab's published default: loopback only, never used by `serve`


@click.command()
@click.option("--facility", default="campus-250mw", show_default=True, help="Which campus.")
@click.option("--port", type=click.IntRange(0, 65535), default=8443, show_default=True)
@click.option("--state-dir", type=click.Path(path_type=Path), help="Where state lives.")
@click.option("--seed", type=int, help="Of all chance: the scenario's, or 1, without it.")
@click.option("--scenario", help="Which faults come and go: a shipped name or a file.")
@click.option("--legacy/--no-legacy", default=True, help="Serve what Redfish has deprecated, too.")
def emulate(
    facility: str,
    port: int,
    state_dir: Path | None,
    seed: int | None,
    scenario: str | None,
    legacy: bool,
) -> None:
    """Run the mock BMC: a simulated campus on real protocols behind a Redfish service."""
    console = Console(stderr=True)
    path = state_dir or default_state_path() / "emulator"
    script = CALM if scenario is None else load_scenario(scenario)
    seed = script.seed if seed is None else seed
    try:
        campus = load_facility(facility)
        control_socket(path / "plant")
    except PlantError as error:
        raise ConfigurationError(str(error)) from error
    state = StateDirectory(path)
    with PlantProcess(facility, seed=seed, state_dir=state.path / "plant") as plant:
        host = SushyHost(state.path / "host", legacy=legacy)
        host.warm_up()
        config = parse_config(
            {
                **plant.wait_ready().config,
                "state_dir": str(state.path),
                "listen": {"port": port, "lockout_threshold": 0},
                "control": "act",
                "events": {"allow_http": True, "allow_loopback": True},
                "legacy": legacy,
            },
            base=state.path,
            origin=f"facility {facility}",
        )
        plant.watch(lambda status: _mourn(console, status))
        control = PlantControl(plant.wait_ready().control)
        sink = PlantWorkloads(control)
        tell = functools.partial(_tell, console)
        faults = Injector(campus, control, host, FrontFaults(seed), tell)
        script.check(faults.check)
        player = Player(script, faults, tell)

        def ready(config: Config, bound: int) -> None:
            _announce(console, config.facility.name, bound)
            player.start()

        with controlled(faults, control_socket(state.path)):
            service = _service(config, faults, host, sink, state)
            service.accounts.ensure(USER, PASSWORD, "Administrator")
            while service.serve(ready):
                service = _service(on_same_port(service), faults, host, sink)
        player.stop()


def _service(
    config: Config,
    faults: Injector,
    host: SushyHost,
    sink: PlantWorkloads,
    state: StateDirectory | None = None,
) -> FaultyService:
    return FaultyService(
        config, faults, host=host, firmware=host, host_name=host.name, sink=sink, state=state
    )


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
@click.option("--state-dir", type=click.Path(path_type=Path), help="The emulator's state.")
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
