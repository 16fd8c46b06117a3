"""Access of an aggregator that hands requests on without identity: read-only, on its own listener.

bmcweb's aggregation drops the credentials of its clients, so that whoever asks here has been let in
there. Credentials are not looked at: nobody can try passwords.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

from bmc_ext.redfish.registry import allow
from bmc_ext.security.identity import AGGREGATED, Identity
from bmc_ext.serving.bridge import AsgiApp, Receive, Scope, Send
from bmc_ext.serving.refusal import refusal

_READING = ("GET", "HEAD", "OPTIONS")
_ALLOW = (b"allow", allow(("GET",)).encode())


class NoAuthentication:
    """Takes everyone for the same caller, who may read what is_shown() says."""

    async def identify(self, headers: Mapping[bytes, bytes], client: str) -> Identity | None:
        """That caller, whatever the headers say."""
        del headers, client
        return AGGREGATED

    def still_valid(self, identity: Identity, headers: Mapping[bytes, bytes]) -> bool:
        """Nobody here may open a stream, so none goes on."""
        del identity, headers
        return False


class ReadOnly:
    """An application without what could change anything: that is refused before it is read."""

    def __init__(self, application: AsgiApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection event stream of ASGI 3."""
        if scope["type"] == "http" and scope["method"] not in _READING:
            status, headers, body = refusal(405, "this listener is for reading only")
            length = (b"content-length", str(len(body)).encode())
            start = {"type": "http.response.start", "status": status}
            await send({**start, "headers": [*headers, _ALLOW, length]})
            await send({"type": "http.response.body", "body": body})
            return

        async def send_readable(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = [_ALLOW if pair[0] == b"allow" else pair for pair in message["headers"]]
                message = {**message, "headers": headers}
            await send(message)

        await self._application(scope, receive, send_readable)
