"""From ASGI to WSGI: the body is read and bounded before a thread is taken."""

from __future__ import annotations

import asyncio
import contextlib
import io
import sys
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from bmc_ext.serving.lanes import Lane

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Headers = list[tuple[bytes, bytes]]
Answer = tuple[int, Headers, bytes]

_OF_TRANSFER = ("CONTENT_LENGTH", "TRANSFER_ENCODING")
"""What says how a body came: the application gets it whole, with a length of its own."""


class BodyTooLargeError(Exception):
    """The client sends more than is taken; never leaves this package."""


async def read_body(scope: Scope, receive: Receive, limit: int, timeout_s: float) -> bytes:
    """The whole body; BodyTooLargeError beyond `limit` bytes, TimeoutError after `timeout_s`."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > limit:
            raise BodyTooLargeError
    parts: list[bytes] = []
    size = 0
    async with asyncio.timeout(timeout_s):
        while True:
            event = await receive()
            if event["type"] == "http.disconnect":
                raise ConnectionResetError
            part = event.get("body", b"")
            size += len(part)
            if size > limit:
                raise BodyTooLargeError
            parts.append(part)
            if not event.get("more_body", False):
                return b"".join(parts)


async def discard_body(receive: Receive, limit: int, timeout_s: float) -> None:
    """Take what is left of a body, up to `limit` bytes and `timeout_s`, and keep nothing of it.

    A connection that is closed upon a client that is still sending is reset, and the answer lost.
    """
    size = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            while size <= limit:
                event = await receive()
                size += len(event.get("body", b""))
                if event["type"] == "http.disconnect" or not event.get("more_body", False):
                    return


class WsgiBridge:
    """Calls a WSGI application, one request a thread."""

    def __init__(self, app: WsgiApp) -> None:
        self._app = app

    async def call(self, scope: Scope, body: bytes, extra: dict[str, Any], lane: Lane) -> Answer:
        """Status, headers and body of the answer; `extra` goes into the environ. LaneFullError."""
        return await lane.run(self._run, {**_environ(scope, body), **extra})

    def _run(self, environ: dict[str, Any]) -> Answer:
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], exc_info: object = None
        ) -> None:
            del exc_info
            started[:] = [(status, headers)]

        result = self._app(environ, start_response)
        try:
            content = b"".join(result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()
        status, headers = started[0]
        return int(status.split(" ", 1)[0]), encoded(headers), content


def encoded(headers: Iterable[tuple[str, str]]) -> Headers:
    """Headers as ASGI wants them; names in lower case."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def _environ(scope: Scope, body: bytes) -> dict[str, Any]:
    """The environ of PEP 3333."""
    server = scope.get("server") or ("localhost", 0)
    client = scope.get("client") or ("", 0)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode("utf-8", "surrogateescape").decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": str(server[0]),
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": f"HTTP/{scope.get('http_version', '1.1')}",
        "REMOTE_ADDR": str(client[0]),
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "https"),
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        key = name.decode("latin-1").upper().replace("-", "_")
        if key in _OF_TRANSFER:
            continue
        key = key if key == "CONTENT_TYPE" else f"HTTP_{key}"
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text
    return environ
