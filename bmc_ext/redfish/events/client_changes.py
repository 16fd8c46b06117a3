"""A change that a client made becomes an event about the resource that was changed."""

from __future__ import annotations

from bmc_ext.errors import DcpiError
from bmc_ext.redfish.context import Context, Request, Response
from bmc_ext.redfish.registry import Registry, Resource

_SILENT = ("/redfish/v1/SessionService/Sessions", "/redfish/v1/AccountService/Accounts")
"""Who may see an account or a session is a matter of rights: the audit log has these."""


def note_change(
    context: Context, registry: Registry, resource: Resource, request: Request, response: Response
) -> None:
    """Tell of a PATCH, PUT, DELETE or creating POST that succeeded; actions tell for themselves."""
    if request.method in ("GET", "HEAD", "OPTIONS") or not 200 <= response.status < 300:
        return
    path = request.path.rstrip("/")
    if path.startswith(_SILENT):
        return
    if request.method == "POST":
        location = response.headers.get("Location")
        found = registry.find(location) if location is not None else None
        if response.status == 201 and location is not None:
            kind = _type_of(found[0], response, context, location) if found else None
            context.eventing.note_resource("ResourceCreated", location, kind)
        return
    key = "ResourceRemoved" if request.method == "DELETE" else "ResourceChanged"
    context.eventing.note_resource(key, path, _type_of(resource, response, context, path))


def _type_of(resource: Resource, response: Response, context: Context, path: str) -> str | None:
    """The type without its version; of the host's resources as they say it themselves."""
    said = resource.schema
    if said is None and isinstance(response.body, dict):
        said = response.body.get("@odata.type")
    if said is None and context.host is not None and not context.host.may_wait:
        try:
            body = context.host.handle("GET", path, "", None).body
        except DcpiError:
            return None  # it is gone, or was never there to be read
        said = body.get("@odata.type") if isinstance(body, dict) else None
    return None if said is None else str(said).lstrip("#").partition(".")[0]
