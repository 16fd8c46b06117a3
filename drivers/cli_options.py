"""What the commands of `dcpi-bmc device` share: options, clear errors, an end at Ctrl-C."""

from __future__ import annotations

import contextlib
import logging
import signal
from collections.abc import Iterator
from pathlib import Path

import click

from drivers.errors import DriverError, TransportError


class Failure(click.ClickException):
    """One clear line on stderr; status 1 for what ran and failed, 2 for what was asked wrongly."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        vars(self)["exit_code"] = exit_code


profile_dirs_option = click.option(
    "--profiles",
    "profile_dirs",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder with more profiles; looked at first.",
)


@contextlib.contextmanager
def clear_errors() -> Iterator[None]:
    """Wrong profiles and targets are bad configuration, silence is a failure."""
    try:
        yield
    except (TransportError, OSError) as error:
        raise Failure(str(error), 1) from error
    except DriverError as error:
        raise Failure(str(error), 2) from error


@contextlib.contextmanager
def until_interrupted() -> Iterator[None]:
    """Ends the body, not the program, at Ctrl-C or a termination."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        return
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No log lines of the drivers meanwhile: tables say what is lost, lines would tear them."""
    log = logging.getLogger("drivers")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)
