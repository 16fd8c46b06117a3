"""Approved workloads start in the plant by themselves, as a scheduler would start them."""

from __future__ import annotations

from bmc_ext.domain.workload import PowerOrder, resource_id
from emulator.plant.client import PlantControl


class PlantWorkloads:
    """Tells the plant which loads to run, when, and up to which power.

    The plant knows a workload by its URI's identity: its own may be any text of any length. Of
    several BMCs on one plant each puts its own `prefix` before.
    """

    def __init__(self, plant: PlantControl, prefix: str = "") -> None:
        self._plant = plant
        self._prefix = prefix

    def on_workload(self, order: PowerOrder) -> None:
        """A workload was approved, or its order has changed; ControlError when it is not taken."""
        self._plant.workload(
            self._prefix + resource_id(order.workload_id),
            start_unix_s=order.start_s,
            end_unix_s=order.end_s,
            baseline_w=min(order.baseline_power_w, order.max_power_w),
            peak_w=order.peak_power_w,
            max_w=order.max_power_w,
            ramp_w_per_s=order.ramp_rate_w_per_s,
        )

    def on_removed(self, workload_id: str) -> None:
        """A workload has ended; ControlError when the plant does not let go of it."""
        self._plant.workload_remove(self._prefix + resource_id(workload_id))
