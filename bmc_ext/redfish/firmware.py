"""The port behind which firmware lives that can be updated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bmc_ext.errors import MessageError


class ImageError(MessageError):
    """An image that is not for this machine, or that is damaged; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Software:
    """One piece of firmware; `related` are URIs of the resources that run it."""

    id: str
    name: str
    version: str
    manufacturer: str | None
    updateable: bool
    related: tuple[str, ...]


class Firmware(Protocol):
    """A machine whose firmware can be updated."""

    def inventory(self) -> tuple[Software, ...]:
        """What is installed now."""

    def install(self, image: bytes, progress: Callable[[int], None]) -> str:
        """Install an image and say what was; `progress` is told percent. ImageError."""
