"""The telemetry's view of the driver engine."""

from __future__ import annotations

from typing import Protocol

from drivers.engine import WriteResult
from drivers.reading import Reading


class EngineLike(Protocol):
    """Field devices whose latest readings can be asked for at any time."""

    def reading(self, device_id: str, point: str) -> Reading:
        """The latest reading, in the canonical unit; KeyError for an unknown device or point."""


class FieldDevices(EngineLike, Protocol):
    """Field devices that can be listed and written too."""

    @property
    def device_ids(self) -> tuple[str, ...]:
        """The ids of all devices."""

    def readings(self, device_id: str) -> dict[str, Reading]:
        """The latest readings of all points of a device; KeyError for an unknown one."""

    def write(
        self, device_id: str, point: str, value: float, *, timeout_s: float = 0.8
    ) -> WriteResult:
        """Write in the canonical unit and read back; WriteRefusedError out of bounds."""
