"""Control: set points of the facility, set through the path of the standard's own commands."""

from __future__ import annotations

from typing import Any

from bmc_ext.errors import MessageError, NotFoundError
from bmc_ext.redfish import members
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.cooling import CDUS
from bmc_ext.redfish.excerpts import collection, link
from bmc_ext.redfish.fixed_members import SENSORS
from bmc_ext.redfish.import_limit import POWER_LIMIT, excerpt, set_limit
from bmc_ext.redfish.quantities import status
from bmc_ext.redfish.registry import Routes
from bmc_ext.redfish.set_points import (
    CONTROLS,
    KINDS,
    carry_out,
    control_id,
    full_scale,
    mode,
    sensor_excerpt,
    set_point,
    set_point_reading,
)
from bmc_ext.security.identity import CONFIGURE_COMPONENTS, DCPI_THERMAL, LOGIN
from bmc_ext.settings import LoopConfig
from drivers.reading import Quality

routes = Routes()


@routes.get(CONTROLS, LOGIN, schema="ControlCollection.ControlCollection")
def controls(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """The facility's import limit, then speed and flow of each loop with a pump that can be set."""
    loops = [loop for loop in context.config.loops if loop.pump_setpoint is not None]
    ids = [control_id(loop, setting) for loop in loops for setting in KINDS]
    return collection("Controls", CONTROLS, [POWER_LIMIT, *ids])


@routes.get(
    f"{CONTROLS}/{POWER_LIMIT}", LOGIN, schema="Control.v1_8_0.Control", volatile=("Sensor",)
)
def power_limit(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """The operator's limit of the import; the one in effect, with the grid's, is grid/status'."""
    shown = excerpt(context)
    del shown["DataSourceUri"]
    return {
        "Id": POWER_LIMIT,
        "Name": "Import limit of the operator",
        "ControlType": "Power",
        "SetPointType": "Single",
        "SetPointUnits": "W",
        **shown,
        "DefaultSetPoint": context.config.facility.contract_limit_w,
        "Implementation": "Programmable" if context.config.control == "act" else "Monitored",
        "Status": {"State": "Enabled", "Health": "OK"},
        "Sensor": {
            "DataSourceUri": f"{SENSORS}/Facility_Power",
            "Reading": context.commands.grid_status().import_w,
        },
        "RelatedItem": [link("/redfish/v1/dcpi/grid/status")],
    }


@routes.patch(f"{CONTROLS}/{POWER_LIMIT}", CONFIGURE_COMPONENTS)
def change_power_limit(context: Context, request: Request) -> dict[str, Any]:
    """Set the operator's limit, which is refused where it cannot be kept."""
    present = power_limit(context, request)
    body = members.json_object(request.json(), ("SetPoint",), present)
    set_limit(context, request, body)
    return power_limit(context, request)


@routes.get(
    f"{CONTROLS}/{{control}}",
    LOGIN,
    schema="Control.v1_8_0.Control",
    volatile=("Sensor",),
)
def control(context: Context, request: Request) -> dict[str, Any]:
    """What the drive holds, what it may be set to, and the sensor that shows the effect.

    A value within its bounds may still be too low for the loop's heat: then the refusal says which
    would do.
    """
    loop, setting = _find(context, request.params["control"])
    kind, acts = KINDS[setting], context.config.control == "act"
    reading = set_point_reading(context, loop)
    return {
        "Id": control_id(loop, setting),
        "Name": f"{kind.word} of {loop.id}",
        "ControlType": kind.control_type,
        "SetPointType": "Single",
        "SetPoint": set_point(context, loop, setting),
        "SetPointUnits": kind.units,
        "AllowableMin": 0,
        "AllowableMax": full_scale(loop, setting),
        "ControlMode": mode(context),
        "Implementation": "Programmable" if acts else "Monitored",
        "PhysicalContext": "Pump",
        "Status": status(Quality.ABSENT if reading is None else reading.quality),
        "Sensor": sensor_excerpt(context, loop, setting),
        "RelatedItem": [link(f"{CDUS}/{loop.id}/Pumps/1")],
    }


@routes.patch(f"{CONTROLS}/{{control}}", DCPI_THERMAL)
def change(context: Context, request: Request) -> dict[str, Any]:
    """Set SetPoint; what the drive then holds is answered."""
    loop, setting = _find(context, request.params["control"])
    body = members.json_object(request.json(), ("SetPoint",), control(context, request))
    if "SetPoint" not in body:
        raise MessageError("the property SetPoint is missing", "/SetPoint")
    carry_out(context, request, loop, setting, body["SetPoint"], "/SetPoint")
    return control(context, request)


def _find(context: Context, name: str) -> tuple[LoopConfig, str]:
    """The loop and the setting of a control; NotFoundError."""
    for setting, kind in KINDS.items():
        loop_id = name.removeprefix("Loop_").removesuffix(f"_{kind.word}")
        place = context.loop_places.get(loop_id)
        if place is not None and name == control_id(context.config.loops[place], setting):
            loop = context.config.loops[place]
            if loop.pump_setpoint is not None:
                return loop, setting
    raise NotFoundError(f"no control {name!r}")
