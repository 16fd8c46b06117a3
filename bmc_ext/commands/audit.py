"""`dcpi-bmc audit`: whether the audit log is whole."""

from __future__ import annotations

from pathlib import Path

import click

from bmc_ext.errors import StateError
from bmc_ext.security.audit import AuditReport
from bmc_ext.security.audit import verify as verify_log


@click.group()
def audit() -> None:
    """The hash-chained record of every command."""


@audit.command()
@click.argument("path", type=click.Path(path_type=Path), metavar="DIR|FILE")
@click.pass_context
def verify(context: click.Context, path: Path) -> None:
    """Check that no entry was changed, moved, added or taken out.

    Exit status 1 where the chain breaks, 2 when there is no log to read.
    """
    try:
        report = verify_log(path)
    except StateError as error:
        click.echo(f"dcpi-bmc: {error}", err=True)
        context.exit(2)
    for line in _lines(report):
        click.echo(line)
    context.exit(0 if report.ok else 1)


def _lines(report: AuditReport) -> list[str]:
    lines = [f"{report.path}: {report.entries} entries"]
    if report.entries:
        lines.append(f"first {report.first_time}, last {report.last_time}, head {report.head}")
    if report.torn_bytes:
        lines.append(f"last line unfinished, {report.torn_bytes} bytes: dropped at the next start")
    if report.ok:
        lines.append("OK")
    else:
        lines.append(f"BROKEN at line {report.broken_line}: {report.reason}")
    return lines
