"""`dcpi-bmc fault` and `dcpi-bmc scenario`: what fails in an emulator, now or by a file."""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from bmc_ext.commands.client import FiniteRange
from bmc_ext.commands.state_folder import StateFolder
from bmc_ext.errors import ConfigurationError
from bmc_ext.state import default_state_path
from emulator.faults.control import LONGEST_S, EmulatorControl
from emulator.faults.scenario import load_scenario, shipped
from emulator.faults.vocabulary import KINDS, fault_of
from emulator.headless import Headless, left_out
from emulator.plant.errors import ControlError, FacilityError, FaultError, PlantError
from emulator.plant.facility import Facility, load_facility
from emulator.plant.faults import check_fault
from emulator.plant.socket_path import control_socket

_NUMBER = re.compile(r"[-+]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][-+]?[0-9]+)?")


@click.group()
@click.option("--state-dir", type=StateFolder(), help="The emulator's state.")
@click.pass_context
def fault(ctx: click.Context, state_dir: Path | None) -> None:
    """Let something fail in a running emulator, and mend it."""
    ctx.obj = state_dir or default_state_path() / "emulator"


@contextmanager
def _control(state_dir: Path) -> Iterator[EmulatorControl]:
    """The emulator whose state is there; what it refuses becomes one line."""
    try:
        control = EmulatorControl(control_socket(state_dir))
    except PlantError:
        raise click.ClickException(
            f"no emulator runs on {state_dir}: start one, or name its folder with "
            "`fault --state-dir`"
        ) from None
    with control:
        try:
            yield control
        except ControlError as error:
            raise click.ClickException(str(error)) from error


@fault.command()
def kinds() -> None:
    """List the kinds of faults and what each takes; * is needed."""
    table = Table("Fault", "Takes", "What it is")
    for kind in KINDS.values():
        takes = (f"{name}{'*' * (name in kind.required)}" for name in kind.parameters)
        table.add_row(kind.name, ", ".join(takes), kind.text)
    Console().print(table)


@fault.command()
@click.argument("kind")
@click.argument("parameters", nargs=-1, metavar="[NAME=VALUE]...")
@click.option(
    "--for",
    "for_s",
    type=FiniteRange(0, LONGEST_S, min_open=True),
    metavar="SECONDS",
    help="End it after so long.",
)
@click.pass_obj
def inject(state_dir: Path, kind: str, parameters: tuple[str, ...], for_s: float | None) -> None:
    """Let a fault begin, as `fault kinds` lists them; prints its id.

    For example: `fault inject noise device=loop_a_flow point=flow.volume amount=5%`, or of the
    second BMC of several `fault inject drop path=/redfish/v1/Chassis* bmc=2`
    """
    given = [_parameter(text) for text in parameters]
    names = [name for name, _ in given]
    if twice := {name for name in names if names.count(name) > 1}:
        raise click.UsageError(f"given twice: {', '.join(sorted(twice))}")
    try:
        wanted = fault_of({"fault": kind, **dict(given)})
    except FaultError as error:
        raise click.UsageError(str(error)) from error
    with _control(state_dir) as control:
        click.echo(control.inject(wanted, for_s))


def _parameter(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise click.UsageError(f"{text!r} is not NAME=VALUE")
    if not _NUMBER.fullmatch(value):
        return name, value
    return name, float(value) if set(value) & set(".eE") else int(value)


@fault.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON.")
@click.pass_obj
def list_(state_dir: Path, as_json: bool) -> None:
    """List the active faults."""
    with _control(state_dir) as control:
        found = control.active()
    if as_json:
        click.echo(json.dumps(found))
        return
    table = Table("Id", "Fault", "Parameters", "Requests left")
    for entry in found:
        parameters = {k: v for k, v in entry["fault"].items() if k != "fault"}
        shown = " ".join(f"{name}={value}" for name, value in parameters.items())
        table.add_row(
            entry["id"], entry["fault"]["fault"], shown, str(entry.get("requests_left", ""))
        )
    Console().print(table)


@fault.command()
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that are active.")
@click.pass_obj
def clear(state_dir: Path, ids: tuple[str, ...], everything: bool) -> None:
    """End faults by their ids."""
    if bool(ids) == everything:
        raise click.UsageError("name the ids of faults, or --all")
    with _control(state_dir) as control:
        for fault_id in [entry["id"] for entry in control.active()] if everything else ids:
            control.clear(fault_id)


@click.group()
def scenario() -> None:
    """Scenarios: which faults begin and end when; `emulate --scenario` plays one."""


@scenario.command("list")
def list_scenarios() -> None:
    """List the scenarios that come with the emulator."""
    table = Table("Scenario", "What happens")
    for name in shipped():
        table.add_row(name, load_scenario(name).description)
    Console().print(table)


@scenario.command()
@click.argument("name_or_path")
@click.option("--facility", default="campus-250mw", show_default=True, help="On which campus.")
def check(name_or_path: str, facility: str) -> None:
    """Check a scenario file and print what it lets happen."""
    found = load_scenario(name_or_path)
    found.check(functools.partial(check_fault, facility=_facility(facility)))
    for event in found.events:
        until = "" if event.until_s is None else f" until {event.until_s:g} s"
        click.echo(f"{event.at_s:g} s{until}: {event.fault}")


@scenario.command()
@click.argument("name_or_path")
@click.option("--for", "for_s", type=float, default=60.0, show_default=True, help="Seconds.")
@click.option("--seed", type=click.IntRange(0), help="Instead of the scenario's.")
@click.option("--facility", default="campus-250mw", show_default=True, help="Which campus.")
def run(name_or_path: str, for_s: float, seed: int | None, facility: str) -> None:
    """Run a scenario without wall clock and service, and print it as JSON lines.

    Plant and drivers go in lock-step: for a seed the lines are the same to the bit. Each second
    gives the truth, and the readings of each device with what is not ok about them.
    """
    if not (math.isfinite(for_s) and for_s > 0):
        raise click.UsageError(f"--for {for_s:g}: not a number of seconds above 0")
    found, campus = load_scenario(name_or_path), _facility(facility)
    found.check(functools.partial(check_fault, facility=campus))
    if count := left_out(found):
        click.echo(f"{count} faults have no part in a run without a service", err=True)
    headless = Headless(campus, found.seed if seed is None else seed, found)
    for record in headless.records(for_s):
        click.echo(json.dumps(record))


def _facility(name: str) -> Facility:
    try:
        return load_facility(name)
    except FacilityError as error:
        raise ConfigurationError(str(error)) from error
