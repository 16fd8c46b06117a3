"""Circuit: the mains of a feed's equipment, phase by phase as power/realtime has them."""

from __future__ import annotations

from typing import Any

from bmc_ext.redfish import labels, rack_pdus
from bmc_ext.redfish.confidence import conditioned_status
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.distribution import EQUIPMENT, feed_of, uri_of, values_of
from bmc_ext.redfish.excerpts import Excerpt, collection, sensor
from bmc_ext.redfish.feed_sensors import PHASES
from bmc_ext.redfish.registry import Routes
from bmc_ext.redfish.resources import rack_pdu
from bmc_ext.security.identity import CONFIGURE_COMPONENTS, LOGIN

routes = Routes()

MAINS = f"{EQUIPMENT}/{{kind}}/{{feed}}/Mains"
ONLY = "1"
_READINGS = (
    "PowerWatts", "EnergykWh", "FrequencyHz", "PowerLoadPercent", "PolyPhaseVoltage",
    "PolyPhaseCurrentAmps", "PolyPhasePowerWatts", "UnbalancedVoltagePercent",
    "UnbalancedCurrentPercent", "Status", "PowerState",
)  # fmt: skip


@routes.get(MAINS, LOGIN, schema="CircuitCollection.CircuitCollection")
def mains(context: Context, request: Request) -> dict[str, Any]:
    """Each piece of equipment has one incoming circuit."""
    pdu = rack_pdus.named(context, request)
    uri = uri_of(feed_of(context, request)) if pdu is None else rack_pdus.uri_of(pdu)
    return collection("Mains", f"{uri}/Mains", [ONLY])


@routes.get(f"{MAINS}/{ONLY}", LOGIN, schema="Circuit.v1_9_0.Circuit", volatile=_READINGS, hot=True)
def circuit(context: Context, request: Request) -> dict[str, Any]:
    """The incoming circuit. EnergykWh is what came in; phases that nothing measures are null."""
    pdu = rack_pdus.named(context, request)
    if pdu is not None:
        return rack_pdu.mains_body(context, pdu)
    feed = feed_of(context, request)
    values = values_of(context, feed)
    equipment = feed.equipment
    declared = {
        "RatedCurrentAmps": equipment.rated_current_a,
        "PhaseWiringType": equipment.wiring,
        "NominalVoltage": equipment.nominal_voltage,
        "NominalFrequencyHz": feed.nominal_hz,
    }
    return {
        "Id": ONLY,
        "Name": f"Mains of {feed.name}",
        "CircuitType": "Mains",
        "ElectricalContext": "Total",
        "VoltageType": "AC",
        **{name: value for name, value in declared.items() if value is not None},
        "UserLabel": labels.label(context, f"{uri_of(feed)}/Mains/{ONLY}", "UserLabel"),
        "PowerWatts": _of(context, feed.id, "Power"),
        "EnergykWh": _of(context, feed.id, "EnergyImport"),
        "FrequencyHz": _of(context, feed.id, "Frequency"),
        "PowerLoadPercent": _of(context, feed.id, "Load"),
        "PolyPhaseVoltage": _lines(context, feed.id, "Voltage", "ToNeutral"),
        "PolyPhaseCurrentAmps": _lines(context, feed.id, "Current", ""),
        "PolyPhasePowerWatts": _lines(context, feed.id, "Power", "ToNeutral"),
        "UnbalancedVoltagePercent": _of(context, feed.id, "VoltageUnbalance"),
        "UnbalancedCurrentPercent": _of(context, feed.id, "CurrentUnbalance"),
        "Status": conditioned_status(values.quality, values.conditions),
    }


@routes.patch(f"{MAINS}/{ONLY}", CONFIGURE_COMPONENTS)
def change(context: Context, request: Request) -> dict[str, Any]:
    """Write its UserLabel."""
    labels.change(context, request, ("UserLabel",), circuit(context, request))
    return circuit(context, request)


def _of(context: Context, feed_id: str, word: str) -> Excerpt:
    return sensor(context, f"Feed_{feed_id}_{word}")


def _lines(context: Context, feed_id: str, word: str, suffix: str) -> dict[str, Excerpt]:
    """The phases' excerpts by the names of the schema: Line1ToNeutral, or Line1 for currents."""
    return {
        f"{phase.replace('L', 'Line')}{suffix}": _of(context, feed_id, f"{phase}_{word}")
        for phase in PHASES
    }
