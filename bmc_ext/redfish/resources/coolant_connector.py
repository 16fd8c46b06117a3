"""CoolantConnector: the loop's side of a cooling unit (secondary) and the facility's (primary)."""

from __future__ import annotations

from typing import Any

from bmc_ext.domain.heat import fluid, heat_flow
from bmc_ext.domain.quality import worst_quality
from bmc_ext.domain.thermal import FLOW
from bmc_ext.equipment import PointRef
from bmc_ext.redfish import members
from bmc_ext.redfish.confidence import conditioned_status
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.cooling import CDUS, LOOPS, coolant, loop_of, values_of
from bmc_ext.redfish.excerpts import collection, derived, link, point, sensor
from bmc_ext.redfish.registry import Routes
from bmc_ext.redfish.set_points import set_excerpt, set_point_excerpt
from bmc_ext.security.identity import DCPI_THERMAL, LOGIN
from bmc_ext.settings import LoopConfig
from drivers.reading import Reading

routes = Routes()

PRIMARY = f"{CDUS}/{{unit}}/PrimaryCoolantConnectors"
SECONDARY = f"{CDUS}/{{unit}}/SecondaryCoolantConnectors"
ONLY = "1"
"""A unit has one pair of connections on each side."""

_SCHEMA = "CoolantConnector.v1_4_0.CoolantConnector"
_COLLECTION = "CoolantConnectorCollection.CoolantConnectorCollection"
_READINGS = (
    "FlowLitersPerMinute", "SupplyTemperatureCelsius", "ReturnTemperatureCelsius",
    "DeltaTemperatureCelsius", "SupplyPressurekPa", "ReturnPressurekPa", "DeltaPressurekPa",
    "HeatRemovedkW", "Coolant", "Status",
)  # fmt: skip


@routes.get(PRIMARY, LOGIN, schema=_COLLECTION)
@routes.get(SECONDARY, LOGIN, schema=_COLLECTION)
def connectors(context: Context, request: Request) -> dict[str, Any]:
    """The one pair of that side."""
    loop_of(context, request)
    return collection("Coolant connectors", request.path.rstrip("/"), [ONLY])


@routes.get(f"{SECONDARY}/{ONLY}", LOGIN, schema=_SCHEMA, volatile=_READINGS)
def secondary(context: Context, request: Request) -> dict[str, Any]:
    """The pair through which the loop's coolant goes to the load and comes back."""
    loop = loop_of(context, request)
    values = values_of(context, loop)
    return_pressure = loop.cooling_unit.return_pressure
    named = {
        name: sensor(context, f"Loop_{loop.id}_{word}")
        for name, word in (
            ("FlowLitersPerMinute", "Flow"),
            ("SupplyTemperatureCelsius", "SupplyTemperature"),
            ("ReturnTemperatureCelsius", "ReturnTemperature"),
            ("DeltaTemperatureCelsius", "DeltaTemperature"),
            ("SupplyPressurekPa", "Pressure"),
            ("HeatRemovedkW", "Heat"),
        )
    }
    returned = point(context, return_pressure)
    return {
        "Id": ONLY,
        "Name": f"{loop.id} to the load",
        "CoolantConnectorType": "Pair",
        "CoolingLoopName": loop.id,
        "Coolant": coolant(loop.fluid, values.supply.value, values.return_.value),
        "RatedFlowLitersPerMinute": loop.rated_flow_lpm,
        **named,
        "ReturnPressurekPa": returned,
        "DeltaPressurekPa": _difference(named["SupplyPressurekPa"], returned),
        **set_point_excerpt(context, loop, FLOW, "FlowControlLitersPerMinute"),
        "Status": conditioned_status(values.quality, values.conditions),
        "Links": {"ConnectedCoolingLoop": link(f"{LOOPS}/{loop.id}")},
    }


@routes.patch(f"{SECONDARY}/{ONLY}", DCPI_THERMAL)
def set_flow(context: Context, request: Request) -> dict[str, Any]:
    """Set the flow through FlowControlLitersPerMinute/SetPoint."""
    loop = loop_of(context, request)
    present = secondary(context, request)
    body = members.json_object(request.json(), ("FlowControlLitersPerMinute",), present)
    set_excerpt(context, request, loop, FLOW, body, "FlowControlLitersPerMinute")
    return secondary(context, request)


@routes.get(f"{PRIMARY}/{ONLY}", LOGIN, schema=_SCHEMA, volatile=_READINGS)
def primary(context: Context, request: Request) -> dict[str, Any]:
    """The pair through which the facility's water takes the heat; null what nothing measures."""
    loop = loop_of(context, request)
    side = loop.cooling_unit.primary
    supply, return_, flow = (_read(context, ref) for ref in (side.supply, side.return_, side.flow))
    measured = [reading for reading in (supply, return_, flow) if reading is not None]
    supplied, returned = point(context, side.supply_pressure), point(context, side.return_pressure)
    supply_c, return_c = _value(supply), _value(return_)
    rise_k = None if supply_c is None or return_c is None else return_c - supply_c
    return {
        "Id": ONLY,
        "Name": f"{loop.id} to facility water",
        "CoolantConnectorType": "Pair",
        "Coolant": coolant(side.fluid, supply_c, return_c),
        "RatedFlowLitersPerMinute": side.rated_flow_lpm,
        "FlowLitersPerMinute": point(context, side.flow),
        "SupplyTemperatureCelsius": point(context, side.supply),
        "ReturnTemperatureCelsius": point(context, side.return_),
        "DeltaTemperatureCelsius": derived(rise_k),
        "SupplyPressurekPa": supplied,
        "ReturnPressurekPa": returned,
        "DeltaPressurekPa": _difference(supplied, returned),
        "HeatRemovedkW": derived(_heat_kw(loop, _value(flow), supply_c, return_c)),
        "Status": conditioned_status(worst_quality([entry.quality for entry in measured]), ()),
    }


def _read(context: Context, ref: PointRef | None) -> Reading | None:
    try:
        return None if ref is None else context.device_sensors.reading(ref)
    except KeyError:  # the device was removed
        return None


def _value(reading: Reading | None) -> float | None:
    return None if reading is None else reading.value


def _difference(supply: dict[str, Any], return_: dict[str, Any]) -> dict[str, Any]:
    """Supply less return pressure in kPa; null where one is not known."""
    high, low = supply["Reading"], return_["Reading"]
    return derived(None if high is None or low is None else high - low)


def _heat_kw(
    loop: LoopConfig, flow_lpm: float | None, supply_c: float | None, return_c: float | None
) -> float | None:
    """Heat that the facility's water takes up; None where something is unknown or out of range."""
    name = loop.cooling_unit.primary.fluid
    if name is None or flow_lpm is None or supply_c is None or return_c is None:
        return None
    try:
        heat = heat_flow(fluid(name), flow_lpm=flow_lpm, supply_c=supply_c, return_c=return_c)
    except ValueError:
        return None
    return heat.heat_w / 1000.0
