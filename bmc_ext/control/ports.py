"""What the command path needs of the rooms around it; fakes of these exist in the tests only."""

from __future__ import annotations

from typing import Protocol

from bmc_ext.domain.snapshot import Snapshot
from bmc_ext.domain.workload import PowerOrder
from bmc_ext.telemetry.engine_port import FieldDevices

__all__ = ["FieldDevices", "Snapshots", "WorkloadSink"]


class Snapshots(Protocol):
    """Where the newest snapshot is found."""

    def latest(self) -> Snapshot | None:
        """The newest snapshot; None before the first."""


class WorkloadSink(Protocol):
    """Who runs the workloads, and keeps them to what they may draw.

    An order may come again; one that raises is repeated a second later. The end is told once; it is
    in the order too.
    """

    def on_workload(self, order: PowerOrder) -> None:
        """A workload was approved, or its order has changed."""

    def on_removed(self, workload_id: str) -> None:
        """A workload has ended."""
