"""The facility before a decision: what is measured, what of it is not ours, what is promised."""

from __future__ import annotations

from typing import Final

from bmc_ext.control.grid import GridBook
from bmc_ext.control.ports import Snapshots
from bmc_ext.control.survey import Survey, survey
from bmc_ext.control.workloads import WorkloadBook
from bmc_ext.domain.ledger import BaseLoad, Site, peak_reserved_w
from bmc_ext.settings import Config

_POWER: Final = "power"
_HEAT: Final = "heat"


class Balance:
    """Follows the load that is not the known workloads'; the owner serialises the calls."""

    def __init__(
        self, config: Config, snapshots: Snapshots, workloads: WorkloadBook, grid: GridBook
    ) -> None:
        self._config = config
        self._snapshots = snapshots
        self._workloads = workloads
        self._grid = grid
        self._power = BaseLoad(workloads.base_load_w(_POWER))
        self._heat = BaseLoad(workloads.base_load_w(_HEAT))
        self._running: frozenset[str] = frozenset()

    @property
    def overhead(self) -> float:
        """W at the grid connection per W of IT load: 1 and the nameplate of the cooling."""
        return 1.0 + self._config.facility.cooling_overhead

    def survey(self, now_s: float) -> Survey:
        """What is measured at that Unix time."""
        return survey(self._config, self._snapshots.latest(), now_s)

    def site(self, found: Survey, now_s: float) -> Site:
        """The facility as a decision sees it; learns the base load where all of it is measured."""
        facility = self._config.facility
        drawing = self._workloads.drawing(now_s)
        if found.import_w is not None:
            base_power_w = self._power.follow(found.import_w, drawing.power_w * self.overhead)
        else:
            base_power_w = self._power.assume(found.power_w)
        cooling = found.cooling
        base_heat_w = 0.0
        if cooling is not None and not cooling.ignored:
            base_heat_w = self._heat.follow(cooling.heat_w, drawing.heat_w)
        elif cooling is not None:
            base_heat_w = self._heat.assume(cooling.heat_w)
        return Site(
            rated_power_w=min(facility.rated_power_w, facility.contract_limit_w),
            limits=self._grid.limits(now_s),
            base_power_w=base_power_w,
            measured_power_w=found.power_w,
            cooling_overhead=facility.cooling_overhead,
            base_heat_w=base_heat_w,
            cooling_capacity_w=None if cooling is None else cooling.capacity_w,
            coolant_supply_c=None if cooling is None else cooling.supply_c,
            notes=found.notes,
        )

    def reserved_w(self, site: Site, now_s: float) -> float:
        """Power at the grid connection that is promised beyond what is measured, at its highest."""
        promised_w = peak_reserved_w(self._workloads.reservations(now_s), now_s)
        return max(0.0, site.base_power_w + promised_w * self.overhead - site.measured_power_w)

    def keep(self, now_s: float) -> None:
        """Put the base loads on disk when a workload has started: it hides them from then on."""
        running = frozenset(
            record.resource_id
            for record in self._workloads.records(now_s)
            if record.state == "running"
        )
        if not running <= self._running:
            loads = {_POWER: self._power.value_w, _HEAT: self._heat.value_w}
            known = {name: value_w for name, value_w in loads.items() if value_w is not None}
            self._workloads.keep_base_load(known)
        self._running = running
