"""JsonSchemas: where the JSON Schema of every type that is served can be read."""

from __future__ import annotations

from typing import Any

from bmc_ext.errors import NotFoundError
from bmc_ext.redfish import metadata
from bmc_ext.redfish.context import Context, Request, Response
from bmc_ext.redfish.host_members import all_types
from bmc_ext.redfish.registry import Routes
from bmc_ext.security.identity import LOGIN

routes = Routes()

SCHEMAS = "/redfish/v1/JsonSchemas"


@routes.get(SCHEMAS, LOGIN, schema="JsonSchemaFileCollection.JsonSchemaFileCollection")
def json_schemas(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """One member for each type and version."""
    names = metadata.json_schema_names(all_types(context))
    return {
        "Name": "JSON Schemas",
        "Members": [{"@odata.id": f"{SCHEMAS}/{name}"} for name in names],
        "Members@odata.count": len(names),
    }


@routes.get(f"{SCHEMAS}/{{name}}", LOGIN, schema="JsonSchemaFile.v1_1_5.JsonSchemaFile")
def json_schema_file(context: Context, request: Request) -> dict[str, Any]:
    """One schema: ours are served here, the standard's are published by DMTF."""
    name = request.params["name"]
    if name not in metadata.json_schema_names(all_types(context)):
        raise NotFoundError(f"no type {name!r} is served here")
    own = metadata.own_json_schema(name) is not None
    where = (
        {"Uri": f"/redfish/v1/schema/{name}.json"}
        if own
        else {"PublicationUri": metadata.published_json_schema(name)}
    )
    return {
        "Id": name,
        "Name": f"JSON Schema of {name}",
        "Schema": f"#{name}.{name.partition('.')[0]}",
        "Languages": ["en"],
        "Location": [{"Language": "en", **where}],
    }


@routes.get("/redfish/v1/schema/{file}", LOGIN)
def schema_file(context: Context, request: Request) -> Response:  # noqa: ARG001
    """The CSDL or the JSON Schema of one of our own types."""
    file = request.params["file"]
    if file.endswith(".json"):
        found = metadata.own_json_schema(file.removesuffix(".json"))
        if found is None:
            raise NotFoundError(f"no schema {file!r}")
        return Response(200, found, {"Content-Type": "application/json"})
    return Response(200, metadata.schema(file), {"Content-Type": "application/xml"})
