"""The power stream, for who asks without the upgrade to WebSocket: the front serves the stream."""

from __future__ import annotations

from typing import Final

from bmc_ext.redfish.context import Context, Request, Response
from bmc_ext.redfish.errors import RedfishError
from bmc_ext.redfish.registry import Routes
from bmc_ext.security.identity import LOGIN

routes = Routes()

STREAMS: Final = ("/redfish/v1/dcpi/power/stream", "/dcpi/power/stream")
"""Where the stream lives, on each face."""


@routes.get(STREAMS[0], LOGIN)
@routes.get(STREAMS[1], LOGIN)
def not_upgraded(context: Context, request: Request) -> Response:  # noqa: ARG001
    """426 with the protocol that is spoken here (RFC 9110 15.5.22)."""
    raise RedfishError(
        426,
        f"{request.path} is a WebSocket: ask with the header Upgrade",
        headers={"Upgrade": "websocket", "Connection": "Upgrade"},
        message="HeaderMissing",
        args=("Upgrade",),
    )
