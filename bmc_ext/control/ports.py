"""What the command path needs of the rooms around it; fakes of these exist in the tests only."""

from __future__ import annotations

from typing import Protocol

from bmc_ext.domain.snapshot import Snapshot
from bmc_ext.domain.workload import PowerOrder
from drivers.engine import WriteResult
from drivers.reading import Reading


class Snapshots(Protocol):
    """Where the newest snapshot is found."""

    def latest(self) -> Snapshot | None:
        """The newest snapshot; None before the first."""


class FieldDevices(Protocol):
    """Readings of field devices, and writes with read-back."""

    def reading(self, device_id: str, point: str) -> Reading:
        """The newest reading of a point; KeyError where there is no such device or point."""

    def write(
        self, device_id: str, point: str, value: float, *, timeout_s: float = 0.8
    ) -> WriteResult:
        """Write in the canonical unit and read back; WriteRefusedError out of bounds."""


class WorkloadSink(Protocol):
    """Who runs the workloads, and keeps them to what they may draw.

    An order may come again; one that raises is repeated a second later. The end is told once; it is
    in the order too.
    """

    def on_workload(self, order: PowerOrder) -> None:
        """A workload was approved, or its order has changed."""

    def on_removed(self, workload_id: str) -> None:
        """A workload has ended."""
