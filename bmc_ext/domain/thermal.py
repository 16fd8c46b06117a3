"""Cooling: what the loops can carry, and the plan behind a thermal_control message (DCPI 6.3.1).

Rules of a plan:
- All commands are validated before any acts. The same system may be named twice, but not with two
  values for one setting.
- `target_flow_rate_lpm` asks for the speed flow/rated flow x 100 % (a centrifugal pump's flow is
  proportional to its speed: first affinity law). With a target flow `pump_speed_percent` is an
  upper bound, so a flow that needs more contradicts it; alone it is the speed itself.
- A setting without an actuator is `not_supported`, a system that is not configured is
  `unknown_system`: both are reported, and the other commands of the message act all the same.
- Interlock: a speed with which the loop could not carry its present heat from its measured supply
  temperature to its hottest allowed return is `refused`, with the least speed that could. Where
  heat or temperature is unknown the least speed is BLIND_SPEED_PERCENT.
- A command that names no setting at all is an error: there is nothing to accept.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bmc_ext.domain.heat import fluid, volumetric_heat_j_per_m3_k
from bmc_ext.domain.snapshot import LoopValues
from bmc_ext.errors import MessageError, NotFoundError
from drivers.reading import Quality

FLOW = "target_flow_rate_lpm"
SPEED = "pump_speed_percent"

SETTINGS: Mapping[str, str | None] = {
    FLOW: "L/min",
    SPEED: "%",
    "inlet_temp_target_c": "Cel",
    "phase_change_fluid": None,
    "municipal_interface": None,
    "heat_output_mw": "MW",
    "supply_temp_c": "Cel",
    "return_temp_c": "Cel",
}
"""The settings of a cooling command in the draft, with their units."""

BLIND_SPEED_PERCENT = 10.0
"""Least speed of a pump whose loop's heat is unknown: some flow, so that the sensors see the heat.

Our own choice; a drive's minimum speed in its own parameters is the plant's last word.
"""

SettingStatus = Literal["accepted", "not_set", "comm_error", "refused", "not_supported", "observed"]

_LPM_TO_M3_PER_S = 1.0 / 60_000.0
_SPEED_TOLERANCE_PERCENT = 0.01
_BOUND = f"kept as the upper bound of the speed that {FLOW} asks for"


@dataclass(frozen=True, slots=True)
class LoopPlate:
    """Nameplate of one loop: flow in L/min, temperatures in Cel; whether its pump can be set."""

    loop_id: str
    fluid: str
    rated_flow_lpm: float
    max_return_c: float
    has_pump: bool


@dataclass(frozen=True, slots=True)
class Cooling:
    """What the loops carry and could carry, in W, over the loops that count.

    A loop counts when its quality is OK and its fluid is known; `ignored` names the others.
    `supply_c` is the warmest supply in Cel, None when no loop counts.
    """

    capacity_w: float
    heat_w: float
    supply_c: float | None
    ignored: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CoolingCommand:
    """One command of the message at `index`; settings by their names in SETTINGS."""

    index: int
    system_id: str
    settings: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class PlannedSetting:
    """A setting and what is to become of it: `status` None is to be written."""

    name: str
    requested: object
    status: SettingStatus | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class SystemPlan:
    """What one system is to do; `speed_percent` None writes nothing."""

    system_id: str
    known: bool
    speed_percent: float | None
    settings: tuple[PlannedSetting, ...]


@dataclass(frozen=True, slots=True)
class SettingOutcome:
    """What became of one setting, in its own unit.

    `accepted` is what the device holds now, read back from its register; `effective` what an
    independent sensor measured after the write. Unknown is None.
    """

    name: str
    requested: object
    status: SettingStatus
    accepted: float | None = None
    effective: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class SystemOutcome:
    """What became of the settings of one system."""

    system_id: str
    known: bool
    settings: tuple[SettingOutcome, ...]

    @property
    def status(self) -> str:
        """`unknown_system`, the one status of all settings, or `partial` when they differ."""
        if not self.known:
            return "unknown_system"
        statuses = {setting.status for setting in self.settings}
        return statuses.pop() if len(statuses) == 1 else "partial"


def loop_capacity_w(plate: LoopPlate, supply_c: float) -> float:
    """Heat in W that the loop carries at rated flow from its actual supply to its hottest return.

    Q = V * rho * cp * (max return - supply), never below 0. ValueError for an unknown fluid or a
    temperature outside its range.
    """
    if plate.max_return_c <= supply_c:
        return 0.0
    k = volumetric_heat_j_per_m3_k(fluid(plate.fluid), supply_c, plate.max_return_c)
    return plate.rated_flow_lpm * _LPM_TO_M3_PER_S * k * (plate.max_return_c - supply_c)


def cooling(plates: Iterable[LoopPlate], loops: Sequence[LoopValues]) -> Cooling:
    """What the loops carry and could carry, from nameplates and the values of one snapshot."""
    measured = {loop.loop_id: loop for loop in loops}
    capacity_w = heat_w = 0.0
    supplies: list[float] = []
    ignored: list[str] = []
    for plate in plates:
        loop = measured.get(plate.loop_id)
        supply_c = loop.supply.value if loop is not None else None
        if (
            loop is None
            or loop.quality is not Quality.OK
            or supply_c is None
            or loop.heat_w is None
        ):
            ignored.append(plate.loop_id)
            continue
        try:
            capacity_w += loop_capacity_w(plate, supply_c)
        except ValueError:
            ignored.append(plate.loop_id)
            continue
        heat_w += max(0.0, loop.heat_w)
        supplies.append(supply_c)
    return Cooling(capacity_w, heat_w, max(supplies, default=None), tuple(ignored))


def least_speed_percent(plate: LoopPlate, loop: LoopValues | None) -> float | None:
    """The speed in % at which the loop just carries its present heat; None where that is unknown.

    Present heat over the capacity at rated flow (`loop_capacity_w`), for the flow is proportional
    to the speed. 100 where even the rated flow is too little.
    """
    if loop is None:
        return None
    supply_c, heat_w = loop.supply.value, loop.heat_w
    if supply_c is None or heat_w is None:
        return None
    if heat_w <= 0:
        return 0.0
    try:
        capacity_w = loop_capacity_w(plate, supply_c)
    except ValueError:
        return None
    return 100.0 if capacity_w <= heat_w else heat_w / capacity_w * 100.0


def plan(
    commands: Sequence[CoolingCommand],
    plates: Iterable[LoopPlate],
    loops: Sequence[LoopValues] = (),
) -> tuple[SystemPlan, ...]:
    """The plan of a message, one entry for each system in the order of the message.

    `loops` are the values of the newest snapshot; a loop that is not among them is unknown. Raises
    MessageError naming the member at fault for contradictory settings and the command that has
    none, NotFoundError when none of the systems is configured.
    """
    known = {plate.loop_id: plate for plate in plates}
    measured = {loop.loop_id: loop for loop in loops}
    merged = _merge(commands)
    plans = tuple(
        _plan_system(system_id, known.get(system_id), measured.get(system_id), settings)
        for system_id, settings in merged.items()
    )
    if not any(entry.known for entry in plans):
        raise NotFoundError(f"no cooling system {', '.join(map(repr, merged))} is configured")
    return plans


_Settings = dict[str, tuple[object, int]]


def _merge(commands: Sequence[CoolingCommand]) -> dict[str, _Settings]:
    """The settings of each system, each with the index of the command it comes from."""
    merged: dict[str, _Settings] = {}
    for command in commands:
        if not command.settings:
            raise MessageError(
                f"the command for {command.system_id!r} names nothing to set",
                f"/cooling_commands/{command.index}",
            )
        settings = merged.setdefault(command.system_id, {})
        for name, value in command.settings.items():
            before = settings.setdefault(name, (value, command.index))
            if before[0] != value:
                raise MessageError(
                    f"{name} of {command.system_id!r} is {value!r} here and {before[0]!r} "
                    f"in cooling_commands/{before[1]}",
                    f"/cooling_commands/{command.index}/{name}",
                )
    return merged


def _plan_system(
    system_id: str, plate: LoopPlate | None, loop: LoopValues | None, settings: _Settings
) -> SystemPlan:
    if plate is None:
        planned = tuple(
            PlannedSetting(name, value, "refused", "the system is not configured")
            for name, (value, _) in settings.items()
        )
        return SystemPlan(system_id, False, None, planned)
    speed_percent, refusal = _speed(plate, settings)
    if speed_percent is not None:
        refusal = _interlock(plate, loop, speed_percent)
    planned = tuple(
        _plan_setting(name, value, plate, refusal, FLOW in settings)
        for name, (value, _) in settings.items()
    )
    writes = any(setting.status is None for setting in planned)
    return SystemPlan(system_id, True, speed_percent if writes else None, planned)


def _plan_setting(
    name: str, value: object, plate: LoopPlate, refusal: str | None, bounded: bool
) -> PlannedSetting:
    if name not in (FLOW, SPEED):
        return PlannedSetting(name, value, "not_supported", "the loop has no actuator for it")
    if not plate.has_pump:
        return PlannedSetting(name, value, "not_supported", "the loop has no pump that can be set")
    if refusal is not None:
        return PlannedSetting(name, value, "refused", refusal)
    return PlannedSetting(name, value, reason=_BOUND if name == SPEED and bounded else None)


def _speed(plate: LoopPlate, settings: _Settings) -> tuple[float | None, str | None]:
    """The pump speed in % that the settings ask for, and why it is refused if it is."""
    flow_lpm = _number(settings, FLOW)
    bound_percent = _number(settings, SPEED)
    if flow_lpm is None:
        if bound_percent is not None and not 0.0 <= bound_percent <= 100.0:
            return None, f"a pump speed of {bound_percent:g} % is outside 0 to 100 %"
        return bound_percent, None
    speed_percent = flow_lpm / plate.rated_flow_lpm * 100.0
    if bound_percent is not None and speed_percent > bound_percent + _SPEED_TOLERANCE_PERCENT:
        raise MessageError(
            f"a flow of {flow_lpm:g} L/min needs {speed_percent:.1f} % of the pump's speed, "
            f"which {SPEED} bounds to {bound_percent:g} %",
            f"/cooling_commands/{settings[SPEED][1]}/{SPEED}",
        )
    if not 0.0 <= speed_percent <= 100.0:
        return None, f"a flow of {flow_lpm:g} L/min is outside 0 to {plate.rated_flow_lpm:g} L/min"
    return speed_percent, None


def _interlock(plate: LoopPlate, loop: LoopValues | None, speed_percent: float) -> str | None:
    """Why the loop must not run that slowly, or None."""
    least_percent = least_speed_percent(plate, loop)
    if least_percent is None:
        if speed_percent >= BLIND_SPEED_PERCENT:
            return None
        return (
            f"the loop's heat is unknown: {speed_percent:.4g} % of the pump's speed is below "
            f"the {BLIND_SPEED_PERCENT:g} % that it keeps"
        )
    if speed_percent + _SPEED_TOLERANCE_PERCENT >= least_percent or loop is None:
        return None
    heat_mw = (loop.heat_w or 0.0) / 1e6
    shown_percent = math.ceil(least_percent * 10.0) / 10.0
    return (
        f"the loop's heat of {heat_mw:.4g} MW needs at least {shown_percent:g} % of the pump's "
        f"speed, {shown_percent / 100.0 * plate.rated_flow_lpm:.6g} L/min, to stay below "
        f"{plate.max_return_c:g} °C; {speed_percent:.4g} % is too slow"
    )


def _number(settings: _Settings, name: str) -> float | None:
    """The setting as a number, None when it is not given; MessageError when it is no number."""
    if name not in settings:
        return None
    value, index = settings[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MessageError(f"{name} is not a number", f"/cooling_commands/{index}/{name}")
    return float(value)
