"""Pump: the one pump of a cooling unit, its speed, and the set point that acts on it."""

from __future__ import annotations

from typing import Any

from bmc_ext.domain.thermal import SPEED
from bmc_ext.errors import NotFoundError
from bmc_ext.redfish import members
from bmc_ext.redfish.confidence import conditioned_status
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.cooling import CDUS, loop_of, values_of
from bmc_ext.redfish.excerpts import collection, plate, sensor
from bmc_ext.redfish.registry import Routes
from bmc_ext.redfish.set_points import set_excerpt, set_point_excerpt
from bmc_ext.security.identity import DCPI_THERMAL, LOGIN
from bmc_ext.settings import LoopConfig

routes = Routes()

PUMPS = f"{CDUS}/{{unit}}/Pumps"
ONLY = "1"


@routes.get(PUMPS, LOGIN, schema="PumpCollection.PumpCollection")
def pumps(context: Context, request: Request) -> dict[str, Any]:
    """The pump, where the loop has a point of one."""
    loop = loop_of(context, request)
    return collection("Pumps", request.path.rstrip("/"), [ONLY] if _has_pump(loop) else [])


@routes.get(
    f"{PUMPS}/{ONLY}",
    LOGIN,
    schema="Pump.v1_2_0.Pump",
    volatile=("PumpSpeedPercent", "Status"),
)
def pump(context: Context, request: Request) -> dict[str, Any]:
    """The pump's speed as its drive reports it."""
    loop = _loop(context, request)
    values = values_of(context, loop)
    return {
        "Id": ONLY,
        "Name": f"Pump of {loop.id}",
        "PumpType": "Liquid",
        "PhysicalContext": "Pump",
        **plate(loop.cooling_unit.pump),
        "PumpSpeedPercent": sensor(context, f"Loop_{loop.id}_PumpSpeed"),
        **set_point_excerpt(context, loop, SPEED, "SpeedControlPercent"),
        "Status": conditioned_status(values.pump_speed.quality, values.pump_speed.conditions),
    }


@routes.patch(f"{PUMPS}/{ONLY}", DCPI_THERMAL)
def set_speed(context: Context, request: Request) -> dict[str, Any]:
    """Set the speed through SpeedControlPercent/SetPoint."""
    loop = _loop(context, request)
    body = members.json_object(request.json(), ("SpeedControlPercent",), pump(context, request))
    set_excerpt(context, request, loop, SPEED, body, "SpeedControlPercent")
    return pump(context, request)


def _loop(context: Context, request: Request) -> LoopConfig:
    loop = loop_of(context, request)
    if not _has_pump(loop):
        raise NotFoundError(f"the cooling unit {loop.id!r} has no pump that is known")
    return loop


def _has_pump(loop: LoopConfig) -> bool:
    return loop.pump_speed is not None or loop.pump_setpoint is not None
