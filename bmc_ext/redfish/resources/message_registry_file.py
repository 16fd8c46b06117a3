"""Registries: where the messages are read that answers name, and who may do what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from bmc_ext.errors import NotFoundError
from bmc_ext.redfish import base_messages, dcpi_messages
from bmc_ext.redfish.context import Context, Request, Response
from bmc_ext.redfish.events.message import HEARTBEAT, POWER, UPDATE
from bmc_ext.redfish.registry import Routes
from bmc_ext.redfish.resources.account import PRIVILEGE_MAP
from bmc_ext.security.identity import LOGIN

routes = Routes()

REGISTRIES = "/redfish/v1/Registries"
_SERVED = "/redfish/v1/registries"


@dataclass(frozen=True, slots=True)
class _File:
    """A registry of some version, and where it is found: here or with DMTF."""

    name: str
    registry: str
    location: dict[str, str]


_FILES = {
    file.name: file
    for file in (
        _File("Base", base_messages.PREFIX, {"PublicationUri": base_messages.PUBLISHED}),
        _File(
            "ResourceEvent",
            "ResourceEvent.1.4",
            {"PublicationUri": "https://redfish.dmtf.org/registries/ResourceEvent.1.4.0.json"},
        ),
        _File(
            "SensorEvent",
            "SensorEvent.1.0",
            {"PublicationUri": "https://redfish.dmtf.org/registries/SensorEvent.1.0.0.json"},
        ),
        _File(
            "HeartbeatEvent",
            HEARTBEAT,
            {"PublicationUri": "https://redfish.dmtf.org/registries/HeartbeatEvent.1.0.1.json"},
        ),
        _File(
            "Power",
            POWER,
            {"PublicationUri": "https://redfish.dmtf.org/registries/Power.1.0.0.json"},
        ),
        _File(
            "Update",
            UPDATE,
            {"PublicationUri": "https://redfish.dmtf.org/registries/Update.1.0.0.json"},
        ),
        _File(
            "Telemetry",
            "Telemetry.1.0",
            {"PublicationUri": "https://redfish.dmtf.org/registries/Telemetry.1.0.0.json"},
        ),
        _File(
            "Privileges",
            "Privileges.1.5",
            {
                "PublicationUri": "https://redfish.dmtf.org/registries/Redfish_1.5.0_PrivilegeRegistry.json"
            },
        ),
        _File("PrivilegeMap", "PrivilegeMap.1.0", {"Uri": PRIVILEGE_MAP}),
        _File("Dcpi", dcpi_messages.PREFIX, {"Uri": f"{_SERVED}/{dcpi_messages.FILE}"}),
    )
}

NAMES = tuple(_FILES)
"""Ids of the registries that are listed here."""


@routes.get(REGISTRIES, LOGIN, schema="MessageRegistryFileCollection.MessageRegistryFileCollection")
def registries(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """All registries that answers refer to."""
    return {
        "Name": "Registries",
        "Members": [{"@odata.id": f"{REGISTRIES}/{name}"} for name in _FILES],
        "Members@odata.count": len(_FILES),
    }


@routes.get(
    f"{REGISTRIES}/{{registry}}", LOGIN, schema="MessageRegistryFile.v1_1_5.MessageRegistryFile"
)
def registry_file(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """One registry: ours is served here, the standard's are published by DMTF."""
    file = _FILES.get(request.params["registry"])
    if file is None:
        raise NotFoundError(f"no registry {request.params['registry']!r}")
    return {
        "Id": file.name,
        "Name": f"{file.name} Registry File",
        "Registry": file.registry,
        "Languages": ["en"],
        "Location": [{"Language": "en", **file.location}],
    }


@routes.get(f"{_SERVED}/{dcpi_messages.FILE}", LOGIN)
def dcpi_registry(context: Context, request: Request) -> Response:  # noqa: ARG001
    """Our own messages (DSP8011's form)."""
    body = orjson.dumps(dcpi_messages.registry())
    return Response(200, body, {"Content-Type": "application/json"})
