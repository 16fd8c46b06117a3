"""Rack PDUs on the Redfish face: which one a path names, and what its points tell."""

from __future__ import annotations

import uuid
from typing import Any, Final

from bmc_ext.control.outlets import LIVE
from bmc_ext.equipment import PointRef
from bmc_ext.errors import NotFoundError
from bmc_ext.rack_pdu import PduBranch, PduOutlet, RackPdu
from bmc_ext.redfish import labels
from bmc_ext.redfish.confidence import conditioned_status
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.excerpts import Excerpt, derived, point
from drivers.reading import Reading

KIND: Final = "RackPDUs"
COLLECTION: Final = f"/redfish/v1/PowerEquipment/{KIND}"

LIVE_V: Final = 50.0
"""A line above it is live: the upper limit of extra-low voltage, AC (IEC 61140)."""


def uri_of(pdu: RackPdu) -> str:
    """Where the PDU lives."""
    return f"{COLLECTION}/{pdu.id}"


def named(context: Context, request: Request) -> RackPdu | None:
    """The PDU that a path under PowerEquipment names; None for a feed's equipment, or nothing."""
    if request.params["kind"] != KIND or not context.config.power_equipment:
        return None
    name = request.params["feed"]
    return next((pdu for pdu in context.config.rack_pdus if pdu.id == name), None)


def find(context: Context, request: Request) -> RackPdu:
    """The same; NotFoundError where it is none."""
    pdu = named(context, request)
    if pdu is None:
        raise NotFoundError(f"no rack PDU {request.params['feed']!r}")
    return pdu


def branch_of(pdu: RackPdu, name: str) -> PduBranch:
    """The branch of that id; NotFoundError."""
    branch = pdu.branch(name)
    if branch is None:
        raise NotFoundError(f"{pdu.id} has no branch {name!r}")
    return branch


def outlet_of(pdu: RackPdu, name: str) -> PduOutlet:
    """The outlet of that id; NotFoundError."""
    outlet = pdu.outlet(name)
    if outlet is None:
        raise NotFoundError(f"{pdu.id} has no outlet {name!r}")
    return outlet


def identity(context: Context, pdu: RackPdu) -> str:
    """A UUID that stays: of this service's and the PDU's id."""
    return str(uuid.uuid5(uuid.UUID(context.uuid), pdu.id))


def excerpts(context: Context, **refs: PointRef | None) -> dict[str, Excerpt]:
    """The readings that are configured, by the names of the properties."""
    return {name: point(context, ref) for name, ref in refs.items() if ref is not None}


def declared(of: PduBranch | PduOutlet) -> dict[str, Any]:
    """What the configuration says of a branch or an outlet."""
    shown = {
        "RatedCurrentAmps": of.rated_current_a,
        "PhaseWiringType": of.wiring,
        "NominalVoltage": of.nominal_voltage,
        "PowerRestorePolicy": of.restore,
    }
    return {name: value for name, value in shown.items() if value is not None}


def electrical_context(branch: PduBranch | None) -> dict[str, str]:
    """Between which conductors a branch and its outlets are."""
    if branch is None or branch.line is None:
        return {}
    return {"ElectricalContext": f"{branch.line.replace('L', 'Line')}ToNeutral"}


def status_of(context: Context, *refs: PointRef | None) -> dict[str, Any]:
    """Status by the first point that is configured; nothing is known without one."""
    for ref in refs:
        if ref is not None:
            found = reading(context, ref)
            if found is None:
                return {"Status": {"State": "UnavailableOffline", "Health": "Critical"}}
            return {"Status": conditioned_status(found.quality, found.conditions)}
    return {}


def voltage_state(context: Context, *refs: PointRef | None) -> str | None:
    """On where one line is live, Off where none is; None while it is not known."""
    found = [_value(context, ref) for ref in refs if ref is not None]
    known = [value for value in found if value is not None]
    if any(value > LIVE_V for value in known):
        return "On"
    return "Off" if known and len(known) == len(found) else None


def outlet_state(context: Context, pdu: RackPdu, outlet: PduOutlet) -> str | None:
    """On or Off by the outlet's own state, or its voltage; None while it is not known."""
    if outlet.state is None:
        return voltage_state(context, outlet.voltage)
    state = _value(context, outlet.state)
    if state is None:
        return None
    if state <= LIVE:
        return "Off"
    branch = pdu.branch(outlet.branch)
    fed = None if branch is None else voltage_state(context, branch.voltage)
    return "Off" if fed == "Off" else "On"


def load(context: Context, pdu: RackPdu) -> dict[str, Excerpt]:
    """PowerLoadPercent: the most loaded line in % of the rated current."""
    rated_a = pdu.mains.rated_current_a
    if rated_a is None or not pdu.mains.lines:
        return {}
    amps = [_value(context, line.current) for line in pdu.mains.lines]
    known = [value for value in amps if value is not None]
    complete = len(known) == len(amps)
    return {"PowerLoadPercent": derived(max(known) / rated_a * 100.0 if complete else None)}


def placed(context: Context, pdu: RackPdu, uri: str) -> dict[str, Any]:
    """Placement of the PDU or of its chassis."""
    return labels.placement(context, uri, pdu.placement.row, pdu.placement.rack)


def reading(context: Context, ref: PointRef) -> Reading | None:
    """What the point reads; None where the device was removed."""
    try:
        return context.device_sensors.reading(ref)
    except KeyError:
        return None


def _value(context: Context, ref: PointRef | None) -> float | None:
    found = None if ref is None else reading(context, ref)
    return None if found is None else found.value
