"""Everything else under /redfish/v1 belongs to the host BMC and is handed to it."""

from __future__ import annotations

from typing import Any

from bmc_ext.control.audited import audited
from bmc_ext.redfish.context import Context, Request, Response
from bmc_ext.redfish.errors import RedfishError
from bmc_ext.redfish.host_privileges import READING, privilege_at
from bmc_ext.redfish.registry import Routes, allow
from bmc_ext.security.identity import LOGIN

routes = Routes()

ANY = "/redfish/v1/{host:path}"


def _version(context: Context, path: str) -> int | None:
    return None if context.host is None else context.host.version(path)


@routes.options(ANY, LOGIN)
@routes.get(ANY, LOGIN, volatile=("DateTime",), version=_version)
@routes.post(ANY, LOGIN)
@routes.patch(ANY, LOGIN)
@routes.put(ANY, LOGIN)
@routes.delete(ANY, LOGIN)
def host(context: Context, request: Request) -> Response:
    """The host's answer, under our headers; nothing of the host is reached by `..`."""
    path = request.path.rstrip("/")
    method = "GET" if request.method == "HEAD" else request.method
    if context.host is None:
        raise RedfishError(404, f"nothing lives at {path}")
    _authorise(request, privilege_at(method, path))
    taken = context.host.methods(path) if ".." not in path else ()
    if not taken:
        raise RedfishError(404, f"nothing lives at {path}")
    headers = {"Allow": allow(taken)} if context.host.runs_here else {}
    if method == "OPTIONS" and context.host.runs_here:
        return Response(204, None, headers)
    if method not in taken:
        raise RedfishError(405, f"{path} does not take {method}", headers=headers)
    if method in READING:
        answer = context.host.handle(method, path, request.raw_query, None, request)
    else:
        body = request.json() if request.body and is_json(request) else None
        planned = {"request": f"{method} {path}", **_summary(body)}
        who, correlation_id = request.who, request.correlation_id
        with audited(context.audit, "host.command", who, correlation_id, planned) as result:
            answer = context.host.handle(method, path, request.raw_query, body, request)
            result["status"] = answer.status
    return Response(answer.status, answer.body, {**headers, **answer.headers})


def is_json(request: Request) -> bool:
    """Whether a body is JSON, as it is where nothing is said."""
    kind = request.headers.get("content-type", "application/json").partition(";")[0]
    return kind.strip().lower() == "application/json"


def _authorise(request: Request, privilege: str) -> None:
    if not request.who.has(privilege):
        role = request.who.role
        raise RedfishError(403, f"the role {role} lacks the privilege {privilege}")


def _summary(body: object) -> dict[str, Any]:
    """What the audit log keeps of a body: names and the kind of reset; a value can be a secret."""
    if not isinstance(body, dict):
        return {"properties": []}
    reset = body.get("ResetType")
    return {
        "properties": [name[:64] for name in sorted(body)[:32]],
        **({"reset_type": reset[:64]} if isinstance(reset, str) else {}),
    }
