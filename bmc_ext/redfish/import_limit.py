"""The operator's import limit on the Redfish face: set by a command, shown as set and in effect."""

from __future__ import annotations

from typing import Any, Final

from bmc_ext.errors import MessageError
from bmc_ext.redfish import members
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.errors import RedfishError
from bmc_ext.redfish.set_points import CONTROLS

POWER_LIMIT: Final = "Facility_PowerLimit"


def excerpt(context: Context) -> dict[str, Any]:
    """PowerLimitWatts: what the operator set, of the contract at most."""
    grid = context.commands.grid_status()
    return {
        "DataSourceUri": f"{CONTROLS}/{POWER_LIMIT}",
        "ControlMode": mode(context),
        "SetPoint": grid.operator_limit_w,
        "AllowableMin": 0,
        "AllowableMax": grid.contract_limit_w,
    }


def mode(context: Context) -> str:
    """The ControlMode: workloads are capped to meet the limit, or nothing is (observe)."""
    return "Automatic" if context.config.control == "act" else "Manual"


def set_limit(context: Context, request: Request, body: object, pointer: str = "") -> None:
    """Carry out a PATCH of SetPoint in W; the error names it and why the limit was not taken."""
    if not isinstance(body, dict):
        raise MessageError("an object with SetPoint is wanted", pointer)
    for name in body:
        if name != "SetPoint" and not name.startswith("@"):
            place = f"{pointer}/{name}".removeprefix("/")
            raise members.refused("PropertyNotWritable", f"{name} cannot be written", place)
    pointer = f"{pointer}/SetPoint"
    if "SetPoint" not in body:
        raise MessageError("the property SetPoint is missing", pointer)
    set_limit_w(context, request, body["SetPoint"], pointer)


def set_limit_w(context: Context, request: Request, value: object, pointer: str) -> None:
    """Set the limit to `value` in W, which stands at the pointer; the error says why it was not."""
    contract_w = context.config.facility.contract_limit_w
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MessageError(f"{pointer.rpartition('/')[2]} is not a number", pointer)
    if not 0 <= value <= contract_w:
        text = f"{value:g} is outside 0 to {contract_w:g} W, the import by contract"
        args = (f"{value:g}", pointer.lstrip("/"))
        raise RedfishError(400, text, pointer, message="PropertyValueOutOfRange", args=args)
    verdict = context.commands.limit_import(float(value), request.who, request.correlation_id)
    if not verdict.accepted:
        raise RedfishError(409, "; ".join(verdict.reasons), pointer, message="GeneralError")
