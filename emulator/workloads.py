"""Approved workloads start in the plant by themselves, as a scheduler would start them."""

from __future__ import annotations

import logging
from pathlib import Path

from bmc_ext.control.workloads import WorkloadRecord
from emulator.plant.client import PlantControl
from emulator.plant.errors import PlantError

_LOG = logging.getLogger(__name__)


class PlantWorkloads:
    """The sink that tells the plant which loads to run, when, and up to which power."""

    def __init__(self, control: Path) -> None:
        self._plant = PlantControl(control)

    def on_workload(self, record: WorkloadRecord) -> None:
        """A workload was approved, or its cap has changed."""
        try:
            self._plant.workload(
                record.workload_id,
                start_unix_s=record.start_s,
                end_unix_s=record.end_s,
                baseline_w=min(record.baseline_power_w, record.max_power_w),
                peak_w=record.peak_power_w,
                max_w=record.max_power_w,
                ramp_w_per_s=record.ramp_rate_w_per_s,
            )
        except (OSError, PlantError):
            _LOG.exception("the plant did not take workload %s", record.workload_id)

    def on_removed(self, workload_id: str) -> None:
        """A workload has ended."""
        try:
            self._plant.workload_remove(workload_id)
        except (OSError, PlantError):
            _LOG.exception("the plant did not let go of workload %s", workload_id)
