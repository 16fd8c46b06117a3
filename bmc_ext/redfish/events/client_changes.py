"""A change that a client made becomes an event about the resource that was changed."""

from __future__ import annotations

from urllib.parse import unquote

from bmc_ext.errors import DcpiError
from bmc_ext.redfish.context import Context, Request, Response
from bmc_ext.redfish.events.message import Audience
from bmc_ext.redfish.password_change import ACCOUNTS, account_uri
from bmc_ext.redfish.registry import Registry, Resource
from bmc_ext.security.identity import CONFIGURE_MANAGER, CONFIGURE_USERS
from bmc_ext.security.sessions import Session

_SESSIONS = "/redfish/v1/SessionService/Sessions"
"""They tell for themselves, also of those that end without a client's doing."""


def tell_of_people(context: Context) -> None:
    """Tell of sessions and of locked accounts from now on, to those who may see them."""

    def of_session(session: Session, opened: bool) -> None:
        key = "ResourceCreated" if opened else "ResourceRemoved"
        audience = Audience(session.username, CONFIGURE_MANAGER)
        uri = f"{_SESSIONS}/{session.id}"
        context.eventing.note_resource(key, uri, "Session", audience)

    def of_lock(username: str) -> None:
        uri = account_uri(username)
        context.eventing.note_resource("ResourceChanged", uri, "ManagerAccount", _audience(uri))

    context.sessions.observe(of_session)
    context.accounts.lockout.on_lock = of_lock


def note_change(
    context: Context, registry: Registry, resource: Resource, request: Request, response: Response
) -> None:
    """Tell of a PATCH, PUT, DELETE or creating POST that succeeded; actions tell for themselves."""
    if request.method in ("GET", "HEAD", "OPTIONS") or not 200 <= response.status < 300:
        return
    path = request.path.rstrip("/")
    if path.startswith(_SESSIONS):
        return
    if request.method == "POST":
        location = response.headers.get("Location")
        found = registry.find(location) if location is not None else None
        if response.status == 201 and location is not None:
            kind = _type_of(found[0], response, context, location) if found else None
            audience = _audience(location)
            context.eventing.note_resource("ResourceCreated", location, kind, audience)
        return
    key = "ResourceRemoved" if request.method == "DELETE" else "ResourceChanged"
    kind = _type_of(resource, response, context, path)
    context.eventing.note_resource(key, path, kind, _audience(path))


def _audience(uri: str) -> Audience | None:
    """Who may see an account: its user, and who manages users."""
    collection, _, name = uri.rpartition("/")
    return Audience(unquote(name), CONFIGURE_USERS) if collection == ACCOUNTS else None


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
