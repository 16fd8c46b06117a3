"""The `dcpi-bmc` command: finds the commands of all rooms and turns errors into one clear line."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from importlib import metadata

import click

from bmc_ext.errors import ConfigurationError, DcpiError, StateError
from drivers.errors import (
    BusOverloadError,
    DriverError,
    LayoutError,
    ProfileError,
    RecordingError,
    TargetError,
)

_OWN = {
    "analyze": "bmc_ext.commands.analyze:analyze",
    "audit": "bmc_ext.commands.audit:audit",
    "mockup": "bmc_ext.commands.mockup:mockup",
    "probe": "bmc_ext.commands.probe:probe",
    "serve": "bmc_ext.commands.serve:serve",
    "watch": "bmc_ext.commands.watch:watch",
    "workload": "bmc_ext.commands.workload:workload",
}
_BAD_USAGE = (
    BusOverloadError,
    ConfigurationError,
    LayoutError,
    ProfileError,
    RecordingError,
    StateError,
    TargetError,
)


class _Commands(click.Group):
    """Loads a command only when it is asked: `analyze` needs no web server."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Our own commands and those of other rooms."""
        del ctx
        return sorted({*_OWN, *_from_other_rooms()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or None."""
        del ctx
        if cmd_name in _OWN:
            module, _, attribute = _OWN[cmd_name].partition(":")
            found: click.Command = getattr(importlib.import_module(module), attribute)
            return found
        entry = _from_other_rooms().get(cmd_name)
        if entry is None:
            return None
        loaded: click.Command = entry.load()
        return loaded


def _from_other_rooms() -> dict[str, metadata.EntryPoint]:
    return {entry.name: entry for entry in metadata.entry_points(group="dcpi_bmc.commands")}


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="dcpi-bmc")
@click.option("--debug", is_flag=True, help="Show a traceback where an error ends the command.")
def root(debug: bool) -> None:
    """Make any Redfish BMC speak DCPI, the Data Center Power Intelligence Protocol."""
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )


def main() -> None:
    """Run; exit 0 done, 1 it ran and found a failure, 2 bad usage or configuration."""
    try:
        sys.exit(root(prog_name="dcpi-bmc", standalone_mode=False))
    except click.UsageError as error:
        error.show()
        sys.exit(2)
    except click.ClickException as error:
        click.echo(f"dcpi-bmc: {error.format_message()}", err=True)
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("dcpi-bmc: stopped", err=True)
        sys.exit(1)
    except (DcpiError, DriverError) as error:
        if "--debug" in sys.argv:
            raise
        click.echo(f"dcpi-bmc: {error}", err=True)
        sys.exit(2 if isinstance(error, _BAD_USAGE) else 1)
    except OSError as error:
        if "--debug" in sys.argv:
            raise
        place = "" if error.filename is None else f"{error.filename}: "
        click.echo(f"dcpi-bmc: {place}{error.strerror or error}", err=True)
        # What standard output still holds cannot be written either: the end must not try again.
        if sys.stdout is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
