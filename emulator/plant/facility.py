"""A facility's nameplates, read from one YAML file: W, V, VA, J, °C, bar, L and L/min."""

from __future__ import annotations

import dataclasses
import math
import string
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from emulator.plant.errors import FacilityError

_SHIPPED = Path(__file__).parent / "facilities"
_MAX_LOOPS = len(string.ascii_lowercase)  # loops are lettered
_MAX_LOOPS_PER_HALL = 6  # a temperature module has seven channels, one is the silicon's


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the facility is and what it may draw."""

    id: str
    name: str
    rated_power_w: float
    contract_limit_w: float
    cooling_overhead: float


@dataclass(frozen=True, slots=True)
class GridPlate:
    """The supply behind each incomer; voltage is line to line."""

    nominal_hz: float
    voltage_v: float
    short_circuit_va: float
    x_over_r: float

    @property
    def phase_voltage_v(self) -> float:
        """Nominal voltage from line to neutral."""
        return self.voltage_v / math.sqrt(3)


@dataclass(frozen=True, slots=True)
class HallPlate:
    """The halls, all alike on paper; the background is IT load that nobody announced."""

    count: int
    rated_power_w: float
    rated_current_a: float
    background_power_w: float


@dataclass(frozen=True, slots=True)
class SiliconPlate:
    """All junctions of one hall as one body; the conductance to the coolant is at rated flow."""

    conductance_w_per_k: float
    heat_capacity_j_per_k: float


@dataclass(frozen=True, slots=True)
class LoopPlate:
    """The coolant loops, all alike on paper. Pressures are bar absolute."""

    per_hall: int
    rated_flow_lpm: float
    capacity_w: float
    static_pressure_bar: float
    rated_pressure_rise_bar: float
    rated_pump_power_w: float
    default_speed_percent: float
    supply_c: float
    max_supply_c: float
    max_return_c: float
    protection_c: float
    supply_pipe_l: float
    plates_l: float
    return_pipe_l: float
    exchanger_l: float
    exchanger_ntu: float


@dataclass(frozen=True, slots=True)
class FacilityWaterPlate:
    """The water on the other side of the exchangers; the flow is that of each."""

    supply_c: float
    rated_flow_lpm: float


@dataclass(frozen=True, slots=True)
class CoolingFeedPlate:
    """The feed of pumps, fans and facility water; the ratios are its meter's transformers."""

    rated_power_w: float
    rated_current_a: float
    voltage_v: float
    ct_ratio: float
    pt_ratio: float
    base_power_w: float
    power_per_heat: float


@dataclass(frozen=True, slots=True)
class BatteryPlate:
    """The battery and its local droop; the ratios are its meter's transformers."""

    rated_power_w: float
    rated_current_a: float
    capacity_j: float
    voltage_v: float
    ct_ratio: float
    pt_ratio: float
    one_way_efficiency: float
    standby_power_w: float
    initial_soc: float
    droop_w_per_hz: float
    droop_deadband_hz: float


@dataclass(frozen=True, slots=True)
class RackPduPlate:
    """The rack PDU in the first hall; the voltage is from line to neutral, currents per line."""

    rated_current_a: float
    branch_current_a: float
    outlet_current_a: float
    line_voltage_v: float
    outlet_power_w: float


@dataclass(frozen=True, slots=True)
class WaveformPlate:
    """The hall feeds' sampled waveforms; noise is in dB below full scale."""

    sample_rate_hz: float
    noise_db: float


@dataclass(frozen=True, slots=True)
class Nameplates:
    """What the labels of the simulated things say, and where they stand; a date is 2026-01-01."""

    manufacturer: str
    campus_model: str
    campus_part_number: str
    campus_serial_number: str
    campus_version: str
    production_date: str
    cooling_unit_model: str
    cooling_unit_part_number: str
    cooling_unit_firmware: str
    pump_model: str
    leak_cable_model: str
    switchgear_model: str
    battery_model: str
    rack_pdu_model: str
    rack_pdu_part_number: str
    rack_pdu_firmware: str
    country: str
    city: str
    postal_code: str


@dataclass(frozen=True, slots=True)
class Facility:
    """All nameplates of one facility."""

    facility: Identity
    grid: GridPlate
    halls: HallPlate
    silicon: SiliconPlate
    loops: LoopPlate
    facility_water: FacilityWaterPlate
    cooling_feed: CoolingFeedPlate
    battery: BatteryPlate
    rack_pdu: RackPduPlate
    waveform: WaveformPlate
    nameplates: Nameplates

    @property
    def metered(self) -> dict[str, CoolingFeedPlate | BatteryPlate]:
        """The feeds that a meter measures; every hall has a feed with a waveform stream instead."""
        return {"cooling": self.cooling_feed, "battery": self.battery}

    @property
    def hall_ids(self) -> tuple[str, ...]:
        """`hall_1`, `hall_2`, …: the halls and their incomer feeds."""
        return tuple(f"hall_{number}" for number in range(1, self.halls.count + 1))

    @property
    def loop_ids(self) -> tuple[str, ...]:
        """`liquid_cooling_loop_a`, `…_b`, …; the first `per_hall` belong to hall 1, and so on."""
        letters = string.ascii_lowercase[: self.halls.count * self.loops.per_hall]
        return tuple(f"liquid_cooling_loop_{letter}" for letter in letters)


def load_facility(name_or_path: str) -> Facility:
    """Read a shipped facility by name, or any facility file by path.

    Raises FacilityError naming the file, the place and the reason.
    """
    shipped = _SHIPPED / f"{name_or_path}.yaml"
    path = shipped if shipped.is_file() else Path(name_or_path)
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        known = ", ".join(sorted(file.stem for file in _SHIPPED.glob("*.yaml")))
        raise FacilityError(f"{path}: {error.strerror} (shipped facilities: {known})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise FacilityError(f"{path}: not YAML: {error}") from error
    return _facility(document, str(path))


_SECTIONS: dict[str, type[Any]] = {
    "facility": Identity,
    "grid": GridPlate,
    "halls": HallPlate,
    "silicon": SiliconPlate,
    "loops": LoopPlate,
    "facility_water": FacilityWaterPlate,
    "cooling_feed": CoolingFeedPlate,
    "battery": BatteryPlate,
    "rack_pdu": RackPduPlate,
    "waveform": WaveformPlate,
    "nameplates": Nameplates,
}
_T = TypeVar("_T")


def _facility(document: object, origin: str) -> Facility:
    members = _members(document, set(_SECTIONS), origin)
    facility = Facility(
        **{
            name: _section(kind, members[name], f"{origin}: {name}")
            for name, kind in _SECTIONS.items()
        }
    )
    if facility.halls.count * facility.loops.per_hall > _MAX_LOOPS:
        raise FacilityError(f"{origin}: loops/per_hall: at most {_MAX_LOOPS} loops in all")
    if facility.loops.per_hall > _MAX_LOOPS_PER_HALL:
        raise FacilityError(f"{origin}: loops/per_hall: at most {_MAX_LOOPS_PER_HALL}")
    for name in ("initial_soc", "one_way_efficiency"):
        if getattr(facility.battery, name) > 1:
            raise FacilityError(f"{origin}: battery/{name}: above 1")
    return facility


def _members(document: object, wanted: set[str], origin: str) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise FacilityError(f"{origin}: not a mapping")
    for problem, names in (
        ("missing", wanted - set(document)),
        ("unknown", set(document) - wanted),
    ):
        if names:
            raise FacilityError(f"{origin}: {problem}: {', '.join(sorted(map(str, names)))}")
    return document


def _section(kind: type[_T], document: object, place: str) -> _T:
    fields = {field.name: field.type for field in dataclasses.fields(kind)}  # type: ignore[arg-type] # always a dataclass
    members = _members(document, set(fields), place)
    return kind(
        **{
            name: _value(members[name], str(wanted), f"{place}/{name}")
            for name, wanted in fields.items()
        }
    )


def _value(value: object, wanted: str, place: str) -> str | float | int:
    if wanted == "str":
        if isinstance(value, str) and value:
            return value
        raise FacilityError(f"{place}: a text is wanted, not {value!r}")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FacilityError(f"{place}: a number is wanted, not {value!r}")
    if not (math.isfinite(value) and value > 0):
        raise FacilityError(f"{place}: {value} is not above 0")
    if wanted == "int":
        if value != int(value):
            raise FacilityError(f"{place}: {value} is not a whole number")
        return int(value)
    return float(value)
