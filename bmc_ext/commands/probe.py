"""`dcpi-bmc probe`: whether services live and are ready, as an exit status."""

from __future__ import annotations

import contextlib
import http.client
import json
from pathlib import Path

import click

from bmc_ext.commands.client import FiniteRange, Target, why_unreachable

_LONGEST_S = 86400.0


@click.command()
@click.argument("urls", metavar="URL...", nargs=-1, required=True)
@click.option("--live", is_flag=True, help="Ask only whether it answers at all.")
@click.option(
    "--timeout",
    "timeout_s",
    type=FiniteRange(0, _LONGEST_S, min_open=True),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="Wait no longer for each to connect, and to answer.",
)
@click.option(
    "--ca",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="PEM file of the authority that issued the service's certificate.",
)
@click.option("--insecure", is_flag=True, help="Take any certificate: for a lab only.")
def probe(
    urls: tuple[str, ...], live: bool, timeout_s: float, ca: Path | None, insecure: bool
) -> None:
    """Say whether services are ready; status 1 where one of them is not. Needs no login.

    A service is ready when its windows flow and a feed is measured. In a container:
    HEALTHCHECK CMD dcpi-bmc probe --live --insecure https://127.0.0.1:8443
    """
    if ca is not None and insecure:
        raise click.UsageError("--ca and --insecure exclude each other")
    targets = [Target(url, "", "", ca, insecure) for url in urls]
    wanted = "live" if live else "ready"
    refusals = [_refusal(target, wanted, timeout_s) for target in targets]
    for target, refusal in zip(targets, refusals, strict=True):
        click.echo(f"{target.url} {refusal or f'is {wanted}'}")
    if any(refusals):
        raise click.exceptions.Exit(1)


def _refusal(target: Target, wanted: str, timeout_s: float) -> str | None:
    """Why it is not live or ready, or None."""
    parts = target.parts
    connection = http.client.HTTPSConnection(
        parts.hostname or "", parts.port, timeout=timeout_s, context=target.tls()
    )
    with contextlib.closing(connection):
        try:
            connection.request("GET", f"/{wanted}z")
            response = connection.getresponse()
            content = response.read(4096)
        except (OSError, http.client.HTTPException) as error:
            return why_unreachable(error)
    try:
        said = json.loads(content)
        if response.status == http.HTTPStatus.OK and said["status"] == wanted:
            return None
        return f"is not ready: {said['reason']}"
    except (ValueError, KeyError, TypeError):
        return f"answers {response.status} {response.reason}, and not as this service does"
