"""The name of the machine: read by everyone, set where the machine lets this process do it."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from typing import Final, Protocol

from bmc_ext.errors import ConflictError

_NAME: Final = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")  # RFC 1123 2.1, one label


class HostName(Protocol):
    """A machine's name."""

    def __call__(self) -> str:
        """The name now."""

    def change(self, name: str) -> None:
        """Give another; ValueError for no host name, ConflictError where it cannot be set."""


class MachineName:
    """The kernel's name of this machine (sethostname(2)); until its next start."""

    def __call__(self) -> str:
        """The name now."""
        return socket.gethostname()

    def change(self, name: str) -> None:
        """Set it; ConflictError where this process may not."""
        check_name(name)
        try:
            socket.sethostname(name)
        except OSError as error:
            reason = f"the machine does not let this service set its name: {error.strerror}"
            raise ConflictError(reason) from error


class OwnName:
    """A name that is kept apart from the machine's: of a machine that is only simulated."""

    def __init__(self, load: Callable[[], str | None], keep: Callable[[str], None]) -> None:
        self._load = load
        self._keep = keep

    def __call__(self) -> str:
        """The name that was set, else the machine's."""
        return self._load() or socket.gethostname()

    def change(self, name: str) -> None:
        """Keep it."""
        check_name(name)
        self._keep(name)


def check_name(name: str) -> None:
    """ValueError unless 1 to 63 letters, digits and hyphens, none at the ends."""
    if not _NAME.fullmatch(name):
        raise ValueError("a host name is 1 to 63 letters, digits and inner hyphens")
