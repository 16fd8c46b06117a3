"""The plant's part of a controller's configuration: what its nameplates and cabling say.

The shape is that of schemas/config/config.schema.json.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drivers.simulation import SimulatedDevice
from emulator.plant import labels
from emulator.plant.facility import Facility
from emulator.plant.feeds import PHASES
from emulator.plant.field_devices import (
    PROFILES,
    RACK_PDU,
    loop_device,
    meter_of,
    temperatures_of,
)
from emulator.plant.fieldbus import Address
from emulator.plant.rack_pdu import OUTLETS, OUTLETS_PER_LINE
from emulator.plant.stream import WaveformServer


def fragment_of(
    facility: Facility,
    devices: Mapping[str, SimulatedDevice],
    addresses: Mapping[str, Address],
    streams: Mapping[str, WaveformServer],
) -> dict[str, Any]:
    """The fragment as plain values; powers in W, temperatures in °C, flow in L/min."""
    return {
        "facility": {
            "id": facility.facility.id,
            "name": facility.facility.name,
            "rated_power_w": facility.facility.rated_power_w,
            "contract_limit_w": facility.facility.contract_limit_w,
            "cooling_overhead": facility.facility.cooling_overhead,
            "nameplate": labels.campus(facility.nameplates),
            "site": labels.site(facility.nameplates),
        },
        "profile_dirs": [str(PROFILES)],
        "devices": [_device(facility, name, devices[name], addresses[name]) for name in devices],
        "feeds": _feeds(facility, streams),
        "loops": _loops(facility),
        "rack_pdus": [_rack_pdu(facility)],
        "silicon": [
            {"id": f"{hall_id}_silicon", "temperature": _channel(facility, hall_id, "supply", None)}
            for hall_id in facility.hall_ids
        ],
    }


def _device(
    facility: Facility, name: str, device: SimulatedDevice, address: Address
) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": name,
        "profile": device.profile.id,
        "target": address.target,
        "unit": address.unit,
    }
    transformers = {meter_of(feed_id): plate for feed_id, plate in facility.metered.items()}
    if (plate := transformers.get(name)) is not None:
        entry |= {"ct_ratio": plate.ct_ratio, "pt_ratio": plate.pt_ratio}
    return entry


def _feeds(facility: Facility, streams: Mapping[str, WaveformServer]) -> list[dict[str, Any]]:
    nominal_hz = int(facility.grid.nominal_hz)
    feeds: list[dict[str, Any]] = [
        {
            "id": hall_id,
            "name": f"Incomer of {hall_id.replace('_', ' ')}",
            "rated_power_w": facility.halls.rated_power_w,
            "nominal_hz": nominal_hz,
            "declared_voltage_v": facility.grid.phase_voltage_v,
            "waveform": {"type": "stream", "host": stream.host, "port": stream.port},
            "equipment": labels.switchgear(facility.nameplates, number, facility.halls),
        }
        for number, (hall_id, stream) in enumerate(streams.items(), 1)
    ]
    for number, (feed_id, plate) in enumerate(facility.metered.items(), len(feeds) + 1):
        feeds.append(
            {
                "id": feed_id,
                "name": f"{feed_id.capitalize()} feed",
                "rated_power_w": plate.rated_power_w,
                "nominal_hz": nominal_hz,
                "meter": meter_of(feed_id),
                "equipment": labels.switchgear(facility.nameplates, number, plate),
            }
        )
    return feeds


def _loops(facility: Facility) -> list[dict[str, Any]]:
    plate = facility.loops
    loops = []
    for position, loop_id in enumerate(facility.loop_ids):
        hall, channel = divmod(position, plate.per_hall)
        hall_id = facility.hall_ids[hall]
        loops.append(
            {
                "id": loop_id,
                "fluid": "water",
                "rated_flow_lpm": plate.rated_flow_lpm,
                "max_supply_c": plate.max_supply_c,
                "max_return_c": plate.max_return_c,
                "supply": _channel(facility, hall_id, "supply", channel),
                "return": _channel(facility, hall_id, "return", channel),
                "flow": f"{loop_device('flow', loop_id)}/flow.volume",
                "pressure": f"{loop_device('pressure', loop_id)}/pressure.P1",
                "pump_speed": f"{loop_device('pump', loop_id)}/speed.actual",
                "pump_setpoint": f"{loop_device('pump', loop_id)}/speed.reference",
                "cooling_unit": {
                    **labels.cooling_unit(facility.nameplates, position + 1),
                    "capacity_w": plate.capacity_w,
                    "primary": {
                        "fluid": "water",
                        "rated_flow_lpm": facility.facility_water.rated_flow_lpm,
                        "supply": _channel(facility, hall_id, "return", None),
                    },
                    "humidity": f"{loop_device('leak', loop_id)}/humidity.relative",
                    "leak_detectors": [
                        {
                            "id": "cable",
                            "wet": f"{loop_device('leak', loop_id)}/alarm.leak",
                            "nameplate": labels.leak_cable(facility.nameplates, position + 1),
                        }
                    ],
                },
            }
        )
    return loops


def _rack_pdu(facility: Facility) -> dict[str, Any]:
    """The PDU with a branch on each line; after a loss of power its relays close again."""
    plate = facility.rack_pdu
    wired = {"wiring": "OnePhase3Wire", "nominal_voltage": "AC230V", "restore": "AlwaysOn"}
    lines = range(1, PHASES + 1)
    return {
        "id": RACK_PDU,
        "name": "Rack PDU in hall 1",
        "nameplate": labels.rack_pdu(facility.nameplates),
        "placement": {"row": "hall 1", "rack": "1"},
        "mains": {
            "rated_current_a": plate.rated_current_a,
            "wiring": "ThreePhase5Wire",
            "nominal_voltage": "AC400V",
            "plug": "IEC_60309_532P6",
            "power": f"{RACK_PDU}/power.active.total",
            "energy": f"{RACK_PDU}/energy.active.import",
            "frequency": f"{RACK_PDU}/frequency",
            "lines": {f"L{line}": _line(line) for line in lines},
        },
        "branches": [
            {
                "id": f"L{line}",
                "line": f"L{line}",
                "rated_current_a": plate.branch_current_a,
                **wired,
                **_line(line),
            }
            for line in lines
        ],
        "outlets": [
            {
                "id": str(number),
                "branch": f"L{(number - 1) // OUTLETS_PER_LINE + 1}",
                "type": "IEC_60320_C13",
                "rated_current_a": plate.outlet_current_a,
                **wired,
                "power": f"{RACK_PDU}/power.active.outlet{number}",
                "current": f"{RACK_PDU}/current.outlet{number}",
                "energy": f"{RACK_PDU}/energy.active.outlet{number}",
                "state": f"{RACK_PDU}/state.outlet{number}",
                "switch": f"{RACK_PDU}/switch.outlet{number}",
            }
            for number in range(1, OUTLETS + 1)
        ],
    }


def _line(line: int) -> dict[str, str]:
    """The points of one line to neutral."""
    return {
        "voltage": f"{RACK_PDU}/voltage.L{line}",
        "current": f"{RACK_PDU}/current.L{line}",
        "power": f"{RACK_PDU}/power.active.L{line}",
    }


def _channel(facility: Facility, hall_id: str, side: str, channel: int | None) -> str:
    """A channel of a temperature module; the one after the loops' is the hall's (None)."""
    number = facility.loops.per_hall if channel is None else channel
    return f"{temperatures_of(hall_id, side)}/temperature.ch{number}"
