"""The ASGI front: authentication, bounded bodies, streams and hot GETs; the rest goes to Flask."""

from __future__ import annotations

import http
import re
import uuid
from collections.abc import Mapping
from concurrent.futures import Executor
from urllib.parse import quote, unquote

import orjson

from bmc_ext.redfish.context import Request
from bmc_ext.redfish.dispatch import HEADERS, Dispatcher
from bmc_ext.redfish.errors import error_body
from bmc_ext.security.identity import LOGIN, Identity
from bmc_ext.serving.authentication import Authenticator
from bmc_ext.serving.bridge import (
    BodyTooLargeError,
    Headers,
    Receive,
    Scope,
    Send,
    WsgiApp,
    WsgiBridge,
    read_body,
)
from bmc_ext.serving.streams import PowerStream

HOME = "/redfish/v1/dcpi"
ALIASES = ("/redfish/v1/Oem/DCPI", "/redfish/v1/Chassis/DCPI/Oem/DCPI")
"""Where the DCPI tree answers too (design, decision 3)."""

STREAMS = (f"{HOME}/power/stream", "/dcpi/power/stream")
_BODY_TIMEOUT_S = 10.0
_CORRELATION = re.compile(rb"[A-Za-z0-9._:-]{1,128}")

Answer = tuple[int, Headers, bytes]


class Front:
    """The application that uvicorn serves."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        wsgi_app: WsgiApp,
        authenticator: Authenticator,
        stream: PowerStream,
        executor: Executor,
        *,
        max_body_bytes: int,
    ) -> None:
        self._dispatcher = dispatcher
        self._bridge = WsgiBridge(wsgi_app, executor)
        self._authenticator = authenticator
        self._stream = stream
        self._max_body_bytes = max_body_bytes
        self._hot: dict[str, tuple[int, Answer]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection event stream of ASGI 3."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            event = await receive()
            if event["type"] == "lifespan.startup":
                self._stream.open()
                await send({"type": "lifespan.startup.complete"})
            else:
                self._stream.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = normal_path(scope["raw_path"])
        path, alias = home_path(asked)
        headers = dict(scope["headers"])
        try:
            status, answer_headers, body = await self._answer(scope, receive, headers, path)
        except ConnectionResetError:
            return
        if alias is not None:
            answer_headers, body = _in_tree(alias, answer_headers, body)
        answer_headers = [
            *(pair for pair in answer_headers if pair[0] != b"content-length"),
            (b"content-length", str(len(body)).encode()),
        ]
        if status in (http.HTTPStatus.NO_CONTENT, http.HTTPStatus.NOT_MODIFIED):
            answer_headers.pop()
        await send({"type": "http.response.start", "status": status, "headers": answer_headers})
        await send(
            {"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body}
        )

    async def _answer(
        self, scope: Scope, receive: Receive, headers: Mapping[bytes, bytes], path: str
    ) -> Answer:
        method = scope["method"]
        identity: Identity | None = None
        if not self._dispatcher.is_open(method, path):
            identity = await self._authenticator.identify(headers)
            if identity is None:
                return _refusal(401, "authentication is needed, or the credentials are wrong")
            if method == "GET" and not scope["query_string"] and LOGIN in identity.privileges:
                hot = self._hot_answer(path, identity, headers)
                if hot is not None:
                    return hot
        try:
            body = await read_body(scope, receive, self._max_body_bytes, _BODY_TIMEOUT_S)
        except BodyTooLargeError:
            return _refusal(413, f"the body is larger than {self._max_body_bytes} bytes")
        except TimeoutError:
            return _refusal(408, f"the body did not arrive within {_BODY_TIMEOUT_S:.0f} s")
        extra = {
            "PATH_INFO": path,
            "dcpi.identity": identity,
            "dcpi.correlation_id": correlation_id(headers),
        }
        return await self._bridge.call(scope, body, extra)

    def _hot_answer(
        self, path: str, identity: Identity, headers: Mapping[bytes, bytes]
    ) -> Answer | None:
        """The answer to a GET that needs no thread, rendered once a window."""
        resource = self._dispatcher.hot_resource(path)
        if resource is None:
            return None
        window = self._dispatcher.context.snapshots.latest()
        if window is not None and resource.schema is not None:
            known = self._hot.get(path)
            if known is not None and known[0] == window.window_id:
                return known[1]
        request = Request("GET", path, {}, {}, b"", identity, correlation_id(headers))
        status, answer_headers, body = self._dispatcher.answer(request)
        answer = status, _encoded(answer_headers), body
        if window is not None and resource.schema is not None:
            self._hot[path] = window.window_id, answer
        return answer

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        headers = dict(scope["headers"])
        path, _ = home_path(normal_path(scope["raw_path"]))
        if path not in STREAMS:
            await _refuse_websocket(send, 404, f"no stream lives at {path}")
            return
        identity = await self._authenticator.identify(headers)
        if identity is None or LOGIN not in identity.privileges:
            await _refuse_websocket(send, 401, "authentication is needed")
            return
        await self._stream.serve(
            scope, receive, send, lambda: self._authenticator.still_valid(identity, headers)
        )


def normal_path(raw_path: bytes) -> str:
    """The path with each segment percent-encoded in one way; a trailing slash is dropped."""
    segments = raw_path.decode("latin-1").split("/")
    decoded = (unquote(segment, errors="surrogateescape") for segment in segments)
    path = "/".join(quote(part, safe="$@:!*'(),;=+&", errors="surrogateescape") for part in decoded)
    return path.rstrip("/") or "/"


def home_path(path: str) -> tuple[str, str | None]:
    """The path in the one home of the DCPI tree, and the alias that was asked, if any."""
    for alias in ALIASES:
        if path == alias or path.startswith(f"{alias}/"):
            return HOME + path[len(alias) :], alias
    return path, None


def correlation_id(headers: Mapping[bytes, bytes]) -> str:
    """The client's X-Correlation-ID where it is a plain token, else a fresh one."""
    given = headers.get(b"x-correlation-id", b"")
    return given.decode() if _CORRELATION.fullmatch(given) else str(uuid.uuid4())


def _in_tree(alias: str, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    """The answer with every link in the tree that was asked."""
    home, other = f'"{HOME}'.encode(), f'"{alias}'.encode()
    moved = [
        (name, alias.encode() + value[len(HOME) :])
        if name == b"location" and value.startswith(HOME.encode())
        else (name, value)
        for name, value in headers
    ]
    return moved, body.replace(home, other)


def _encoded(headers: Mapping[str, str]) -> Headers:
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]


def _refusal(status: int, text: str) -> Answer:
    headers = {**HEADERS, "Content-Type": "application/json; charset=utf-8"}
    if status == http.HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Basic realm="Redfish"'
    else:
        headers["Connection"] = "close"
    return status, _encoded(headers), orjson.dumps(error_body(status, text))


async def _refuse_websocket(send: Send, status: int, text: str) -> None:
    status, headers, body = _refusal(status, text)
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})
