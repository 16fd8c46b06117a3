"""Everything else under /redfish/v1 belongs to the host BMC and is handed to it."""

from __future__ import annotations

from bmc_ext.redfish.context import Context, Request, Response
from bmc_ext.redfish.errors import RedfishError
from bmc_ext.redfish.registry import Routes
from bmc_ext.security.identity import CONFIGURE_COMPONENTS, LOGIN

routes = Routes()

ANY = "/redfish/v1/{host:path}"


@routes.get(ANY, LOGIN)
@routes.post(ANY, CONFIGURE_COMPONENTS)
@routes.patch(ANY, CONFIGURE_COMPONENTS)
@routes.delete(ANY, CONFIGURE_COMPONENTS)
def host(context: Context, request: Request) -> Response:
    """The host's answer, under our headers; nothing of the host is reached by `..`."""
    if context.host is None or ".." in request.path:
        raise RedfishError(404, f"nothing lives at {request.path}")
    body = request.json() if request.body else None
    method = "GET" if request.method == "HEAD" else request.method
    answer = context.host.handle(method, request.path.rstrip("/"), request.raw_query, body)
    return Response(answer.status, answer.body, answer.headers)
