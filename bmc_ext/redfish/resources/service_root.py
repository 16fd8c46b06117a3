"""ServiceRoot, and the documents beside it that DSP0266 leaves open to everyone."""

from __future__ import annotations

from typing import Any

from bmc_ext.redfish import distribution, metadata
from bmc_ext.redfish.context import Context, Request, Response
from bmc_ext.redfish.query import FEATURES
from bmc_ext.redfish.registry import OPEN, Routes

routes = Routes()

ROOT = "/redfish/v1"


@routes.get("/redfish", OPEN)
def versions(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """The protocol versions (DSP0266 6.2)."""
    return {"v1": f"{ROOT}/"}


@routes.get(ROOT, OPEN, schema="ServiceRoot.v1_17_0.ServiceRoot", hot=True)
def service_root(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """Where every client starts; the DCPI service is in Oem.DCPI."""
    body: dict[str, Any] = {
        "@odata.id": f"{ROOT}/",
        "Id": "RootService",
        "Name": "Root Service",
        "RedfishVersion": "1.21.0",
        "UUID": context.uuid,
        "Product": "dcpi-bmc",
        "Vendor": "dcpi-bmc",
        "ProtocolFeaturesSupported": FEATURES,
        "Chassis": {"@odata.id": f"{ROOT}/Chassis"},
        "Managers": {"@odata.id": f"{ROOT}/Managers"},
        "SessionService": {"@odata.id": f"{ROOT}/SessionService"},
        "AccountService": {"@odata.id": f"{ROOT}/AccountService"},
        "EventService": {"@odata.id": f"{ROOT}/EventService"},
        "TelemetryService": {"@odata.id": f"{ROOT}/TelemetryService"},
        "JsonSchemas": {"@odata.id": f"{ROOT}/JsonSchemas"},
        "CertificateService": {"@odata.id": f"{ROOT}/CertificateService"},
        "Tasks": {"@odata.id": f"{ROOT}/TaskService"},
        "UpdateService": {"@odata.id": f"{ROOT}/UpdateService"},
        "Registries": {"@odata.id": f"{ROOT}/Registries"},
        "Links": {"Sessions": {"@odata.id": f"{ROOT}/SessionService/Sessions"}},
        "Oem": {
            "DCPI": {
                "@odata.type": "#DcpiServiceRoot.v1_0_0.ServiceRoot",
                "Service": {"@odata.id": f"{ROOT}/dcpi"},
            }
        },
    }  # fmt: skip
    if distribution.served(context):
        body["PowerEquipment"] = {"@odata.id": f"{ROOT}/PowerEquipment"}
    if context.config.loops:
        body["ThermalEquipment"] = {"@odata.id": f"{ROOT}/ThermalEquipment"}
    if context.identification():
        body["ServiceIdentification"] = context.identification()
    theirs = {} if context.host is None else dict(context.host.root)
    body["Oem"] = {**theirs.pop("Oem", {}), **body["Oem"]}
    return {**body, **{name: link for name, link in theirs.items() if name not in body}}


@routes.get(f"{ROOT}/odata", OPEN)
def odata(context: Context, request: Request) -> dict[str, Any]:
    """The OData service document (DSP0266 8.4.2)."""
    root = service_root(context, request)
    links = {name: value["@odata.id"] for name, value in root.items() if _is_link(value)}
    return {
        "@odata.context": f"{ROOT}/$metadata",
        "value": [
            {"name": name, "kind": "Singleton", "url": url}
            for name, url in {"Service": f"{ROOT}/", **links}.items()
        ],
    }


def _is_link(value: object) -> bool:
    return isinstance(value, dict) and "@odata.id" in value


@routes.get(f"{ROOT}/$metadata", OPEN)
def metadata_document(context: Context, request: Request) -> Response:  # noqa: ARG001
    """The OData metadata document: references to every schema that is served."""
    content = {"Content-Type": "application/xml; charset=utf-8"}
    host = context.host
    theirs = () if host is None else (host.types, tuple(sorted(host.schemas.items())))
    return Response(200, metadata.document(context.types, *theirs), content)
