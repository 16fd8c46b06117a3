"""`dcpi-bmc serve`: the sidecar over real sensors."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import click

import schemas
from bmc_ext.commands.state_folder import StateFolder
from bmc_ext.config import load_config
from bmc_ext.errors import ConfigurationError
from bmc_ext.security.accounts import Accounts
from bmc_ext.service import Service, on_same_port
from bmc_ext.settings import Config
from bmc_ext.state import StateDirectory


@click.command()
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="The YAML file that names devices, feeds and loops; see --example.",
)
@click.option("--port", type=click.IntRange(0, 65535), help="Listen there instead; 0 picks one.")
@click.option("--state-dir", type=StateFolder(), help="Keep state there instead.")
@click.option(
    "--set-password",
    metavar="USER",
    help="Set the password of an administrator (made if missing), then exit. It is asked for, or "
    "read from the first line of a pipe.",
)
@click.option("--example", is_flag=True, help="Print a commented configuration and exit.")
def serve(
    config_file: Path | None,
    port: int | None,
    state_dir: Path | None,
    set_password: str | None,
    example: bool,
) -> None:
    """Serve DCPI over the sensors of a configuration file.

    There is no default password: set one with --set-password before the first start.
    """
    if example:
        click.echo(schemas.path("config/example.yaml").read_text(encoding="utf-8"), nl=False)
        return
    if config_file is None:
        raise click.UsageError("--config FILE is needed; --example prints one to start from")
    config = load_config(config_file)
    if state_dir is not None:
        config = dataclasses.replace(config, state_dir=state_dir)
    if set_password is not None:
        _set_password(config.state_dir, set_password)
        return
    if port is not None:
        config = dataclasses.replace(config, listen=dataclasses.replace(config.listen, port=port))
    state = StateDirectory(config.state_dir)
    service = Service(config, state=state)
    if not service.accounts.list():
        raise ConfigurationError(
            f"there is no account yet: dcpi-bmc serve --config {config_file} --set-password USER"
        )
    while service.serve(_echo_ready):
        service = Service(on_same_port(service))


def _echo_ready(config: Config, port: int) -> None:
    uri = _root(config.listen.host, port)
    click.echo(f"dcpi-bmc: serving {uri} (control: {config.control})")
    aggregated = config.listen.aggregated
    if aggregated is not None:
        uri = _root(aggregated.host, aggregated.port)
        click.echo(f"dcpi-bmc: everyone may read the equipment, without identity, at {uri}")


def _root(host: str, port: int) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"https://{shown}:{port}/redfish/v1"


def _password() -> str:
    if sys.stdin is not None and not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    asked: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return asked


def _set_password(state_dir: Path, username: str) -> None:
    password = _password()
    state = StateDirectory(state_dir)
    accounts = Accounts(state)
    try:
        if any(account.username == username for account in accounts.list()):
            accounts.set_password(username, password)
        else:
            accounts.create(username, password, "Administrator")
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    finally:
        accounts.close()
        state.close()
    click.echo(f"dcpi-bmc: {username} may log in")
