"""Manager: this service as a manager, its restart, and the same of a host that is this process."""

from __future__ import annotations

from importlib import metadata
from typing import Any

from bmc_ext.clock import iso8601
from bmc_ext.control.audited import audited
from bmc_ext.redfish import members
from bmc_ext.redfish.action import REFERENCE, Parameter, checked, tell
from bmc_ext.redfish.context import Context, Request, Response
from bmc_ext.redfish.errors import RedfishError
from bmc_ext.redfish.excerpts import link
from bmc_ext.redfish.registry import Routes
from bmc_ext.redfish.resources.collections import CHASSIS, MANAGERS, OWN_ID, own_chassis
from bmc_ext.security.identity import CONFIGURE_MANAGER, LOGIN

routes = Routes()

OWN = f"{MANAGERS}/{OWN_ID}"
RESET_TYPES = ("GracefulRestart", "ForceRestart")
_RESET_PARAMETERS = (Parameter("ResetType", allowable=RESET_TYPES),)


@routes.get(OWN, LOGIN, schema="Manager.v1_20_0.Manager", volatile=("DateTime",))
def own_manager(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """The service itself as a manager."""
    return {
        "Id": OWN_ID,
        "Name": "DCPI service",
        "ManagerType": "Service",
        "UUID": context.uuid,
        "ServiceEntryPointUUID": context.uuid,
        "ServiceIdentification": context.identification(),
        "FirmwareVersion": metadata.version("dcpi-bmc"),
        "DateTime": iso8601(context.clock.unix_ns() / 1e9),
        "DateTimeLocalOffset": "+00:00",
        "LastResetTime": iso8601(context.lifecycle.began_s),
        "Status": {"State": "Enabled", "Health": "OK"},
        **services(OWN_ID),
        "Links": {
            "ManagerForChassis": [link(f"{CHASSIS}/{one}") for one in own_chassis(context.config)]
        },
    }


@routes.patch(OWN, CONFIGURE_MANAGER)
def change_manager(context: Context, request: Request) -> dict[str, Any]:
    """Name this service; the root shows it to everyone, before they log in."""
    name = "ServiceIdentification"
    body = members.json_object(request.json(), (name,), own_manager(context, request))
    text = members.text(body, name)
    planned = {"service_identification": text[:64]}
    with audited(context.audit, "manager.change", request.who, request.correlation_id, planned):
        try:
            context.identification.change(text)
        except ValueError as error:
            raise members.refused("PropertyValueFormatError", str(error), name, text) from error
    return own_manager(context, request)


def services(manager: str) -> dict[str, Any]:
    """What a manager that is this process leads to: its network, its logs and its restart."""
    return {
        "EthernetInterfaces": {"@odata.id": f"{MANAGERS}/{manager}/EthernetInterfaces"},
        "NetworkProtocol": {"@odata.id": f"{OWN}/NetworkProtocol"},
        "LogServices": {"@odata.id": f"{OWN}/LogServices"},
        "Actions": {
            "#Manager.Reset": {
                "target": f"{MANAGERS}/{manager}/Actions/Manager.Reset",
                "ResetType@Redfish.AllowableValues": list(RESET_TYPES),
                REFERENCE: f"{MANAGERS}/{manager}/ResetActionInfo",
            }
        },
    }


@routes.post(f"{MANAGERS}/{{manager}}/Actions/Manager.Reset", CONFIGURE_MANAGER)
def reset(context: Context, request: Request) -> Response:
    """Begin anew with what is on disk; sessions end, the host's power is not touched."""
    _check_is_this_process(context, request)
    body = checked(request.json() if request.body else {}, _RESET_PARAMETERS)
    kind = body.get("ResetType", RESET_TYPES[0])
    planned = {"reset_type": kind}
    with audited(context.audit, "manager.reset", request.who, request.correlation_id, planned):
        if not context.lifecycle.restart(forced=kind == "ForceRestart"):
            raise RedfishError(503, "nothing that could be restarted is serving here")
    return Response(204)


def _check_is_this_process(context: Context, request: Request) -> None:
    """RedfishError for a manager that is neither this service nor the host that lives in it."""
    host, manager = context.host, request.params["manager"]
    if manager != OWN_ID and (host is None or manager not in host.members("Managers")):
        raise RedfishError(404, f"nothing lives at {request.path}")


tell(routes, f"{MANAGERS}/{{manager}}/ResetActionInfo", _RESET_PARAMETERS, _check_is_this_process)
