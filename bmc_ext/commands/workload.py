"""`dcpi-bmc workload`: announce a workload to a running service and see what becomes of it."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Iterator
from typing import Any, BinaryIO
from urllib.parse import quote

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bmc_ext.clock import iso8601
from bmc_ext.commands.client import (
    Client,
    FiniteRange,
    RefusedError,
    Target,
    UnreachableError,
    target_options,
    url_option,
)

ANNOUNCE = "/dcpi/workload/announce"
WORKLOADS = "/redfish/v1/dcpi/workloads"

_LEAD_S = 300  # the draft's announcement comes five minutes before its start
_DRAFT_PEAK_MW = 180.0
_OVER = ("Completed", "Terminated", "Rejected")
_UNKNOWN = "–"
_SHOWN_CHARACTERS = 128  # of an identity: the longest that a URI carries
_NARROW = 110  # columns that the table of workloads needs to have all side by side


@click.group()
def workload() -> None:
    """Announce workloads and follow them."""


@workload.command()
@click.option("--now", is_flag=True, help="As a new one: announced now, to start in five minutes.")
@click.option(
    "--peak-mw",
    type=FiniteRange(0, min_open=True),
    default=_DRAFT_PEAK_MW,
    show_default=True,
    help="Peak power in MW; the other powers keep their proportion to it.",
)
@click.option("--id", "workload_id", metavar="ID", help="Identity of the workload.")
def example(now: bool, peak_mw: float, workload_id: str | None) -> None:
    """Print the announcement of the DCPI draft: an AI training job of 180 MW.

    Send it with `workload announce -`, or with curl.
    """
    if not math.isfinite(peak_mw):
        raise click.BadParameter(f"{peak_mw} is no power", param_hint="'--peak-mw'")
    now_s = time.time()
    if workload_id is None:
        workload_id = f"ai-training-job-{int(now_s)}" if now else "ai-training-job-12345"
    sent = iso8601(now_s) if now else "2025-06-04T14:30:00Z"
    start = iso8601(now_s + _LEAD_S) if now else "2025-06-04T14:35:00Z"
    click.echo(json.dumps(_draft(workload_id, peak_mw, sent, start), indent=2))


def _draft(workload_id: str, peak_mw: float, sent: str, start: str) -> dict[str, Any]:
    """The draft's example message, its powers scaled to another peak in MW."""

    def scaled(power_mw: float) -> float:
        value = round(power_mw * peak_mw / _DRAFT_PEAK_MW, 6)
        return int(value) if value.is_integer() else value

    return {
        "dcpi_version": "1.0",
        "message_type": "workload_announcement",
        "timestamp": sent,
        "workload_id": workload_id,
        "power_profile": {
            "peak_power_mw": scaled(180),
            "baseline_power_mw": scaled(20),
            "ramp_rate_mw_per_sec": scaled(45),
            "duration_estimate_sec": 3600,
            "start_time_estimate": start,
            "priority": "high",
            "flexibility": {
                "can_delay": True,
                "max_delay_sec": 300,
                "can_throttle": True,
                "min_power_mw": scaled(90),
            },
        },
        "thermal_profile": {
            "heat_generation_mw": scaled(175),
            "preferred_coolant_temp_c": 65,
            "max_silicon_temp_c": 85,
        },
    }


@workload.command()
@click.argument("file", type=click.File("rb"), metavar="FILE|-")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as it came.")
@url_option
@target_options
@click.pass_context
def announce(context: click.Context, file: BinaryIO, as_json: bool, target: Target) -> None:
    """Announce the workload in FILE and show the decision; exit status 1 where it is rejected."""
    with Client(target) as client:
        answer = client.post(ANNOUNCE, file.read()).body
    if as_json:
        click.echo(json.dumps(answer, indent=2))
    else:
        _console().print(_decision_table(answer))
    if answer.get("approval_status") == "rejected":
        context.exit(1)


def _decision_table(answer: dict[str, Any]) -> Table:
    """The decision of an infrastructure_response, a row for each thing that it says."""
    table = Table(show_header=False)
    conditions = answer.get("conditions") or {}
    thermal = conditions.get("thermal_constraints") or {}
    alternative = answer.get("alternative") or {}
    capacity = answer.get("capacity") or {}
    rows = [
        ("workload", answer.get("workload_id")),
        ("decision", str(answer.get("approval_status")).replace("_", " ")),
        ("because", "\n".join(answer.get("reasons") or [])),
        ("start", conditions.get("start_time")),
        ("end", conditions.get("end_time")),
        ("up to", _with_unit(conditions.get("max_power_mw"), "MW")),
        ("coolant at", _with_unit(thermal.get("coolant_supply_temp_c"), "°C")),
        ("would be accepted from", alternative.get("start_time")),
        ("would be accepted up to", _with_unit(alternative.get("max_power_mw"), "MW")),
        ("power available", _with_unit(capacity.get("power_available_mw"), "MW")),
        ("cooling available", _with_unit(capacity.get("cooling_available_mw"), "MW")),
    ]
    for name, value in rows:
        if value:
            table.add_row(name, str(value))
    return table


@workload.command()
@click.argument("workload_id", metavar="[ID]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the resources as they came.")
@url_option
@target_options
def status(workload_id: str | None, as_json: bool, target: Target) -> None:
    """Show one announced workload, or all of them."""
    with Client(target) as client:
        if workload_id is not None:
            found = [_workload(client, workload_id)]
        else:
            members = client.get(WORKLOADS).body["Members"]
            found = [client.get(member["@odata.id"]).body for member in members]
    if as_json:
        for resource in found:
            click.echo(json.dumps(resource))
    elif found:
        console = _console()
        console.print(_workload_table(found, narrow=console.width < _NARROW))
    else:
        click.echo("no workload has been announced")


def _workload(client: Client, workload_id: str) -> dict[str, Any]:
    if not workload_id:
        raise click.BadParameter("it is empty", param_hint="'ID'")
    try:
        return client.get(f"{WORKLOADS}/{quote(workload_id, safe='')}").body
    except RefusedError as error:
        if error.status == 404:
            raise click.ClickException(f"no workload {workload_id!r} was announced") from None
        raise


def _workload_table(found: list[dict[str, Any]], *, narrow: bool) -> Table:
    """A row for each workload; a narrow one has its times and its powers one above the other."""
    table = Table(show_lines=narrow)
    for name in ("workload", "state", "decision"):
        table.add_column(name, overflow="fold")
    times, powers = ("start", "end"), ("peak MW", "granted MW")
    for name in ("\n".join(times),) if narrow else times:
        table.add_column(name, no_wrap=True)
    for name in ("\n".join(powers),) if narrow else powers:
        table.add_column(name, justify="right", no_wrap=True)
    for resource in found:
        time_cells = _to_the_second(resource["StartTime"]), _to_the_second(resource["EndTime"])
        power_cells = (
            _megawatts(resource["PeakPowerWatts"]),
            _megawatts(resource["MaxPowerWatts"]),
        )
        cells = ("\n".join(time_cells), "\n".join(power_cells))
        table.add_row(
            _identity(resource["WorkloadId"]),
            resource["WorkloadState"],
            resource["ApprovalStatus"].replace("_", " "),
            *(cells if narrow else (*time_cells, *power_cells)),
        )
    return table


@workload.command()
@click.argument("workload_id", metavar="ID")
@click.option(
    "--interval",
    type=FiniteRange(0.1),
    default=1.0,
    show_default=True,
    help="Seconds between two looks.",
)
@url_option
@target_options
@click.pass_context
def follow(context: click.Context, workload_id: str, interval: float, target: Target) -> None:
    """Print a line at each change of a workload until it is over.

    Exit status 1 where it was rejected. Ctrl-C ends it.
    """
    last = ""
    with contextlib.suppress(KeyboardInterrupt), Client(target) as client:
        for state, line in _changes(client, workload_id, interval):
            click.echo(f"{iso8601(time.time())}  {line}")
            last = state
    context.exit(1 if last == "Rejected" else 0)


def _changes(client: Client, workload_id: str, interval_s: float) -> Iterator[tuple[str, str]]:
    """State and text at the first look and at each change, until the workload is over."""
    state = shown = ""
    while state not in _OVER:
        if shown:
            time.sleep(interval_s)
        try:
            resource = _workload(client, workload_id)
        except UnreachableError as error:
            if not shown:
                raise
            line = f"{error.message}; trying again"
        else:
            state, line = resource["WorkloadState"], _state_line(resource)
        if line != shown:
            yield state, line
            shown = line


def _state_line(resource: dict[str, Any]) -> str:
    parts = [resource["WorkloadState"]]
    if resource["WorkloadState"] != "Rejected":
        parts.append(resource["ApprovalStatus"].replace("_", " "))
    if resource["StartTime"]:
        parts.append(f"from {resource['StartTime']} to {resource['EndTime'] or 'an open end'}")
    if resource["MaxPowerWatts"] is not None:
        parts.append(f"up to {_megawatts(resource['MaxPowerWatts'])} MW")
    return ", ".join([*parts, *resource["Reasons"]])


def _console() -> Console:
    """A console as wide as the terminal; a pipe gets 120 columns and no colour."""
    console = Console()
    return console if console.is_terminal else Console(width=120)


def _identity(workload_id: str) -> Text:
    """An identity, which is any text: quoted where a terminal could not show it, and shortened."""
    shown = workload_id if workload_id and workload_id.isprintable() else repr(workload_id)
    return Text(shown if len(shown) <= _SHOWN_CHARACTERS else f"{shown[:_SHOWN_CHARACTERS]}…")


def _to_the_second(moment: str | None) -> str:
    return _UNKNOWN if moment is None else f"{moment[:19]}Z"


def _with_unit(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:g} {unit}"


def _megawatts(power_w: float | None) -> str:
    return _UNKNOWN if power_w is None else f"{power_w / 1e6:g}"
