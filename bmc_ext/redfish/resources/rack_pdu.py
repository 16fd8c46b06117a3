"""A rack PDU as PowerDistribution with its Outlets, which can be switched, and its Branches."""

from __future__ import annotations

from typing import Any

from bmc_ext.control.audited import audited
from bmc_ext.rack_pdu import RackPdu
from bmc_ext.redfish import labels, members
from bmc_ext.redfish.context import Context, Request, Response
from bmc_ext.redfish.distribution import EQUIPMENT
from bmc_ext.redfish.errors import RedfishError
from bmc_ext.redfish.excerpts import Excerpt, collection, link, plate, point
from bmc_ext.redfish.quantities import timestamp
from bmc_ext.redfish.rack_pdus import (
    branch_of,
    declared,
    electrical_context,
    excerpts,
    find,
    identity,
    load,
    outlet_of,
    outlet_state,
    placed,
    status_of,
    uri_of,
    voltage_state,
)
from bmc_ext.redfish.registry import Routes
from bmc_ext.redfish.resources.collections import CHASSIS
from bmc_ext.security.identity import CONFIGURE_COMPONENTS, LOGIN

routes = Routes()

_PDU = f"{EQUIPMENT}/{{kind}}/{{feed}}"
_OUTLET = f"{_PDU}/Outlets/{{outlet}}"
_STATES = ("On", "Off")
_ENERGY, _RESET_TIME = "EnergykWhAtReset", "SensorResetTime"
_MEASURED = ("Voltage", "CurrentAmps", "PowerWatts", "EnergykWh", "PowerState", "Status")


def distribution_body(context: Context, pdu: RackPdu) -> dict[str, Any]:
    """The PDU itself; what its nameplate does not tell is left out."""
    uri = uri_of(pdu)
    branches = {"Branches": link(f"{uri}/Branches")} if pdu.branches else {}
    shown = plate(pdu.nameplate)
    location = {**shown.pop("Location", {}), "Placement": placed(context, pdu, uri)}
    return {
        "Id": pdu.id,
        "Name": pdu.name,
        "EquipmentType": "RackPDU",
        "UUID": identity(context, pdu),
        **shown,
        "AssetTag": labels.label(context, uri, "AssetTag"),
        "UserLabel": labels.label(context, uri, "UserLabel"),
        "Location": location,
        **status_of(context, pdu.mains.power, *(line.current for line in pdu.mains.lines)),
        "Mains": link(f"{uri}/Mains"),
        **branches,
        "Outlets": link(f"{uri}/Outlets"),
        "Metrics": link(f"{uri}/Metrics"),
        "Links": {
            "Chassis": [link(f"{CHASSIS}/{pdu.id}")],
            "ManagedBy": [link("/redfish/v1/Managers/DCPI")],
        },
    }


def metrics_body(context: Context, pdu: RackPdu) -> dict[str, Any]:
    """Power, energy since it was set back, and load of the most loaded line."""
    target = f"{uri_of(pdu)}/Metrics/Actions/PowerDistributionMetrics.ResetMetrics"
    body = {
        "Id": "Metrics",
        "Name": f"Metrics of {pdu.name}",
        **excerpts(context, PowerWatts=pdu.mains.power),
        **load(context, pdu),
    }
    if pdu.mains.energy is None:
        return body
    actions = {"#PowerDistributionMetrics.ResetMetrics": {"target": target}}
    return {**body, "EnergykWh": _energy_since_reset(context, pdu), "Actions": actions}


def _energy_since_reset(context: Context, pdu: RackPdu) -> Excerpt:
    """The meter's own reading until it was set back here, then what came in since."""
    energy = point(context, pdu.mains.energy)
    reset = context.equipment.of(f"{uri_of(pdu)}/Metrics")
    if _ENERGY not in reset:
        return energy
    lifetime, start = energy["Reading"], reset[_ENERGY]
    if lifetime is not None and lifetime < start:
        start = 0.0  # the meter was exchanged and counts from 0
    since = None if lifetime is None else lifetime - start
    return {"Reading": since, "LifetimeReading": lifetime, _RESET_TIME: reset[_RESET_TIME]}


@routes.post(f"{_PDU}/Metrics/Actions/PowerDistributionMetrics.ResetMetrics", CONFIGURE_COMPONENTS)
def reset_metrics(context: Context, request: Request) -> Response:
    """Count the energy from here on; the meter and its sensor go on as before."""
    pdu = find(context, request)
    members.json_object(request.json() if request.body else {}, ())
    energy = None if pdu.mains.energy is None else point(context, pdu.mains.energy)["Reading"]
    if energy is None:
        raise RedfishError(409, "the meter's energy is not known now", message="GeneralError")
    uri = f"{uri_of(pdu)}/Metrics"
    at = timestamp(context.clock.unix_ns() / 1e9)
    planned = {"resource": uri, "energy_kwh": energy}
    with audited(context.audit, "equipment.reset", request.who, request.correlation_id, planned):
        context.equipment.write(uri, {_ENERGY: energy, _RESET_TIME: at})
    return Response(204)


def mains_body(context: Context, pdu: RackPdu) -> dict[str, Any]:
    """The incoming circuit, line by line."""
    mains, uri = pdu.mains, uri_of(pdu)
    shown = {
        "RatedCurrentAmps": mains.rated_current_a,
        "PhaseWiringType": mains.wiring,
        "NominalVoltage": mains.nominal_voltage,
        "PlugType": mains.plug,
    }
    lines = {line.line.replace("L", "Line"): line for line in mains.lines}
    poly = {
        "PolyPhaseVoltage": {f"{name}ToNeutral": line.voltage for name, line in lines.items()},
        "PolyPhaseCurrentAmps": {name: line.current for name, line in lines.items()},
        "PolyPhasePowerWatts": {f"{name}ToNeutral": line.power for name, line in lines.items()},
    }
    measured = {name: excerpts(context, **refs) for name, refs in poly.items()}
    circuits = [link(f"{uri}/Branches/{branch.id}") for branch in pdu.branches]
    return {
        "Id": "1",
        "Name": f"Mains of {pdu.name}",
        "CircuitType": "Mains",
        "ElectricalContext": "Total",
        "VoltageType": "AC",
        **{name: value for name, value in shown.items() if value is not None},
        "UserLabel": labels.label(context, f"{uri}/Mains/1", "UserLabel"),
        **excerpts(
            context, PowerWatts=mains.power, EnergykWh=mains.energy, FrequencyHz=mains.frequency
        ),
        **load(context, pdu),
        **{name: found for name, found in measured.items() if found},
        "PowerState": voltage_state(context, *(line.voltage for line in mains.lines)),
        **status_of(context, mains.power, *(line.current for line in mains.lines)),
        "Links": {"DistributionCircuits": circuits},
    }


@routes.get(f"{_PDU}/Branches", LOGIN, schema="CircuitCollection.CircuitCollection")
def branches(context: Context, request: Request) -> dict[str, Any]:
    """The circuits between mains and outlets."""
    pdu = find(context, request)
    return collection("Branches", f"{uri_of(pdu)}/Branches", [one.id for one in pdu.branches])


@routes.get(
    f"{_PDU}/Branches/{{branch}}", LOGIN, schema="Circuit.v1_9_0.Circuit", volatile=_MEASURED
)
def branch(context: Context, request: Request) -> dict[str, Any]:
    """One branch with its outlets."""
    pdu = find(context, request)
    one, uri = branch_of(pdu, request.params["branch"]), uri_of(pdu)
    fed = [link(f"{uri}/Outlets/{found.id}") for found in pdu.outlets if found.branch == one.id]
    return {
        "Id": one.id,
        "Name": f"Branch {one.id} of {pdu.name}",
        "CircuitType": "Branch",
        "VoltageType": "AC",
        **electrical_context(one),
        **declared(one),
        "UserLabel": labels.label(context, f"{uri}/Branches/{one.id}", "UserLabel"),
        **excerpts(
            context, Voltage=one.voltage, CurrentAmps=one.current, PowerWatts=one.power,
            EnergykWh=one.energy,
        ),
        "PowerState": voltage_state(context, one.voltage),
        **status_of(context, one.power, one.current, one.voltage),
        "Links": {"Outlets": fed, "SourceCircuit": link(f"{uri}/Mains/1")},
    }  # fmt: skip


@routes.patch(f"{_PDU}/Branches/{{branch}}", CONFIGURE_COMPONENTS)
def change_branch(context: Context, request: Request) -> dict[str, Any]:
    """Write its UserLabel."""
    labels.change(context, request, ("UserLabel",), branch(context, request))
    return branch(context, request)


@routes.get(f"{_PDU}/Outlets", LOGIN, schema="OutletCollection.OutletCollection")
def outlets(context: Context, request: Request) -> dict[str, Any]:
    """All outlets."""
    pdu = find(context, request)
    return collection("Outlets", f"{uri_of(pdu)}/Outlets", [one.id for one in pdu.outlets])


@routes.get(_OUTLET, LOGIN, schema="Outlet.v1_5_0.Outlet", volatile=_MEASURED)
def outlet(context: Context, request: Request) -> dict[str, Any]:
    """One outlet; PowerState is what its relay says, not what was ordered."""
    pdu = find(context, request)
    one = outlet_of(pdu, request.params["outlet"])
    on, uri = pdu.branch(one.branch), f"{uri_of(pdu)}/Outlets/{one.id}"
    control = {
        "target": f"{uri}/Actions/Outlet.PowerControl",
        "PowerState@Redfish.AllowableValues": list(_STATES),
    }
    return {
        "Id": one.id,
        "Name": f"Outlet {one.id} of {pdu.name}",
        "VoltageType": "AC",
        **({} if one.type is None else {"OutletType": one.type}),
        **electrical_context(on),
        **declared(one),
        "UserLabel": labels.label(context, uri, "UserLabel"),
        **excerpts(
            context, Voltage=one.voltage, CurrentAmps=one.current, PowerWatts=one.power,
            EnergykWh=one.energy,
        ),
        "PowerState": outlet_state(context, pdu, one),
        **status_of(context, one.state, one.power, one.current),
        "Links": {"BranchCircuit": link(f"{uri_of(pdu)}/Branches/{one.branch}")},
        **({} if one.switch is None else {"Actions": {"#Outlet.PowerControl": control}}),
    }  # fmt: skip


@routes.patch(_OUTLET, CONFIGURE_COMPONENTS)
def change_outlet(context: Context, request: Request) -> dict[str, Any]:
    """Write its UserLabel."""
    labels.change(context, request, ("UserLabel",), outlet(context, request))
    return outlet(context, request)


@routes.post(f"{_OUTLET}/Actions/Outlet.PowerControl", CONFIGURE_COMPONENTS)
def power_control(context: Context, request: Request) -> Response:
    """Switch the outlet; what its device or its relay did not do is an error."""
    pdu = find(context, request)
    one = outlet_of(pdu, request.params["outlet"])
    if one.switch is None:
        raise RedfishError(404, f"outlet {one.id} of {pdu.id} has no switch")
    body = members.json_object(request.json() if request.body else {}, ("PowerState",))
    wanted = members.one_of(body, "PowerState", _STATES) == "On"
    outcome = context.commands.switch_outlet(pdu, one, wanted, request.who, request.correlation_id)
    if outcome.status == "accepted":
        return Response(204)
    status = 503 if outcome.status == "comm_error" else 409
    raise RedfishError(status, outcome.reason or outcome.status, message="GeneralError")
