"""SessionService and its sessions (DSP0266 13.3.4)."""

from __future__ import annotations

from typing import Any

from bmc_ext.control.audited import audited
from bmc_ext.errors import NotFoundError
from bmc_ext.redfish import members
from bmc_ext.redfish.context import Context, Request, Response
from bmc_ext.redfish.equipment_book import EquipmentBook
from bmc_ext.redfish.errors import RedfishError
from bmc_ext.redfish.password_change import SESSIONS, announcement
from bmc_ext.redfish.quantities import timestamp
from bmc_ext.redfish.registry import OPEN, Routes
from bmc_ext.security.identity import CONFIGURE_MANAGER, CONFIGURE_SELF, LOGIN
from bmc_ext.security.sessions import TIMEOUT_S, Session, Sessions

routes = Routes()

SERVICE = "/redfish/v1/SessionService"
_TIMEOUT = "SessionTimeout"


@routes.get(SERVICE, LOGIN, schema="SessionService.v1_1_9.SessionService")
def session_service(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """How long a session lives without use."""
    return {
        "Id": "SessionService",
        "Name": "Session Service",
        "ServiceEnabled": True,
        _TIMEOUT: round(context.sessions.timeout_s),
        "Status": {"State": "Enabled", "Health": "OK"},
        "Sessions": {"@odata.id": SESSIONS},
    }


@routes.patch(SERVICE, CONFIGURE_MANAGER)
def change_service(context: Context, request: Request) -> dict[str, Any]:
    """Change the time-out in seconds."""
    readable = session_service(context, request)
    body = members.json_object(request.json(), (_TIMEOUT,), readable)
    timeout_s = members.whole_number({**readable, **body}, _TIMEOUT, *TIMEOUT_S)
    planned = {"session_timeout_s": timeout_s}
    with audited(
        context.audit, "session_service.change", request.who, request.correlation_id, planned
    ):
        context.equipment.write(SERVICE, {_TIMEOUT: timeout_s})
        context.sessions.timeout_s = timeout_s
    return session_service(context, request)


def recall_timeout(sessions: Sessions, book: EquipmentBook) -> None:
    """Follow the time-out that was set before the start, where one was."""
    sessions.timeout_s = book.of(SERVICE).get(_TIMEOUT, sessions.timeout_s)


@routes.get(SESSIONS, LOGIN, schema="SessionCollection.SessionCollection")
def sessions(context: Context, request: Request) -> dict[str, Any]:
    """The open sessions that the caller may see: all for an administrator, else their own."""
    visible = [s for s in context.sessions.list() if _may_see(request, s)]
    return {
        "Name": "Sessions",
        "Members": [{"@odata.id": f"{SESSIONS}/{session.id}"} for session in visible],
        "Members@odata.count": len(visible),
    }


@routes.post(SESSIONS, OPEN, costly=True)
@routes.post(f"{SESSIONS}/Members", OPEN, costly=True)
def log_in(context: Context, request: Request) -> Response:
    """Open a session; the token is in X-Auth-Token and nowhere else."""
    body = members.json_object(request.json(), ("UserName", "Password", "Token", "Context"))
    username = members.text(body, "UserName")
    identity = context.accounts.verify(username, members.text(body, "Password"))
    attempt = {"method": "session", "user": username, "client": request.client}
    if identity is None:
        context.access.refused("authentication.refused", **attempt)
        raise RedfishError(401, "user name or password is wrong, or the account is locked")
    session = context.sessions.open(identity)
    context.access.granted("authentication.granted", **attempt, session=session.id)
    uri = f"{SESSIONS}/{session.id}"
    answer = {
        "@odata.type": "#Session.v1_7_2.Session",
        "@odata.id": uri,
        **_body(session),
        **(announcement(username) if identity.must_change_password else {}),
    }  # the identity of the session, never its token
    return Response(201, answer, {"X-Auth-Token": session.token, "Location": uri})


@routes.get(f"{SESSIONS}/{{session}}", LOGIN, schema="Session.v1_7_2.Session")
def session(context: Context, request: Request) -> dict[str, Any]:
    """One open session."""
    return _body(_find(context, request))


@routes.delete(f"{SESSIONS}/{{session}}", CONFIGURE_SELF)
def log_out(context: Context, request: Request) -> Response:
    """Close a session: one's own, or any for an administrator."""
    closed = _find(context, request)
    context.sessions.close(closed.id)
    context.access.granted("session.closed", user=request.who.username, session=closed.id)
    return Response(204)


def _find(context: Context, request: Request) -> Session:
    for candidate in context.sessions.list():
        if candidate.id == request.params["session"] and _may_see(request, candidate):
            return candidate
    raise NotFoundError(f"no session {request.params['session']!r}")


def _may_see(request: Request, session: Session) -> bool:
    return session.username == request.who.username or request.who.has(CONFIGURE_MANAGER)


def _body(session: Session) -> dict[str, Any]:
    return {
        "Id": session.id,
        "Name": f"Session of {session.username}",
        "UserName": session.username,
        "CreatedTime": timestamp(session.created_s),
    }
