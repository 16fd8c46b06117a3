"""The ASGI front: authentication, bounded bodies, streams and hot GETs; the rest goes to Flask."""

from __future__ import annotations

import http
import logging
import re
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import orjson

from bmc_ext.redfish.context import Request
from bmc_ext.redfish.dispatch import Dispatcher
from bmc_ext.redfish.registry import Resource
from bmc_ext.redfish.resources.event_service import SSE
from bmc_ext.redfish.resources.power_stream import STREAMS
from bmc_ext.security.identity import LOGIN, Identity
from bmc_ext.serving.aggregated import NoAuthentication
from bmc_ext.serving.authentication import Authenticator
from bmc_ext.serving.bridge import (
    Answer,
    BodyTooLargeError,
    Headers,
    Receive,
    Scope,
    Send,
    WsgiApp,
    WsgiBridge,
    discard_body,
    encoded,
    read_body,
)
from bmc_ext.serving.event_stream import EventStream, StreamRefusedError
from bmc_ext.serving.health import Health
from bmc_ext.serving.lanes import Lane, LaneFullError
from bmc_ext.serving.refusal import refusal
from bmc_ext.serving.streams import PowerStream

_LOG = logging.getLogger(__name__)

HOME = "/redfish/v1/dcpi"
ALIASES = ("/redfish/v1/Oem/DCPI", "/redfish/v1/Chassis/DCPI/Oem/DCPI")
"""Where the DCPI tree answers too (design, decision 3)."""

_BODY_TIMEOUT_S = 10.0
_DISCARDED_BODIES = 16  # of the largest size that is taken; whoever sends more is cut off
_LINGER_S = 5.0
_CORRELATION = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_UNQUOTED = "$@:!*'(),;=+&"  # in a segment, beside letters, digits and _.-~ (RFC 3986 3.3)
_PLAIN_PATH = re.compile(rb"[A-Za-z0-9_.~$@:!*'(),;=+&/-]*")
_ODATA_VERSIONS = (b"4.0", b"4")  # DSP0266 7.1
_READING = ("GET", "HEAD", "OPTIONS")
_BODILESS = (http.HTTPStatus.NO_CONTENT, http.HTTPStatus.NOT_MODIFIED)
_ABOUT_BODY = (b"content-length", b"content-type")
_URIS = ("@odata.id", "@Redfish.ActionInfo", "target")
_FOREIGN = "a web page of another origin may not ask this"
_BUSY = "too many requests are waiting"


class Front:
    """The application that uvicorn serves.

    `requests` runs what may wait for a disk or a device, `passwords` what runs argon2, `hosts` what
    waits for a BMC elsewhere: neither a flood of logins nor a BMC that hangs keeps others waiting.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        wsgi_app: WsgiApp,
        authenticator: Authenticator | NoAuthentication,
        stream: PowerStream,
        event_stream: EventStream,
        health: Health,
        *,
        requests: Lane,
        passwords: Lane,
        hosts: Lane,
        max_body_bytes: int,
    ) -> None:
        self._dispatcher = dispatcher
        self._bridge = WsgiBridge(wsgi_app)
        self._requests = requests
        self._passwords = passwords
        self._hosts = hosts
        self._authenticator = authenticator
        self._stream = stream
        self._event_stream = event_stream
        self._health = health
        self._max_body_bytes = max_body_bytes
        self._known: dict[str, tuple[int, Answer]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection event stream of ASGI 3."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            try:
                await self._websocket(scope, receive, send)
            except OSError:
                return  # the client has gone
            except Exception:
                _LOG.exception("the stream at %s failed", scope["path"])
                raise
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
            if path == SSE and scope["method"] == "GET":
                refused = await self._events(scope, receive, send, headers)
                if refused is None:
                    return
                status, answer_headers, body = refused
            else:
                probed = self._health.answer(scope["method"], path)
                answer = probed or await self._answer(scope, receive, headers, path)
                status, answer_headers, body = answer
        except ConnectionResetError:
            return
        except LaneFullError:
            status, answer_headers, body = refusal(503, _BUSY)
        except Exception:
            _LOG.exception("%s %s failed in the front", scope["method"], path)
            status, answer_headers, body = refusal(500, "the service failed; its log says why")
        if alias is not None:
            answer_headers, body = _in_tree(alias, answer_headers, body)
        if status in _BODILESS:
            answer_headers = [pair for pair in answer_headers if pair[0] not in _ABOUT_BODY]
        else:
            answer_headers = [
                *(pair for pair in answer_headers if pair[0] != b"content-length"),
                (b"content-length", str(len(body)).encode()),
            ]
        await send({"type": "http.response.start", "status": status, "headers": answer_headers})
        if scope["method"] == "HEAD":
            body = b""
        if status == http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE and b"expect" not in headers:
            # Whoever is still sending must not be reset before it has read the answer.
            await send({"type": "http.response.body", "body": body, "more_body": True})
            await discard_body(receive, _DISCARDED_BODIES * self._max_body_bytes, _LINGER_S)
            body = b""
        await send({"type": "http.response.body", "body": body})

    async def _events(
        self, scope: Scope, receive: Receive, send: Send, headers: Mapping[bytes, bytes]
    ) -> Answer | None:
        """Stream events until either side ends it; an answer where no stream is opened."""
        identity = await self._authenticator.identify(headers, _client(scope))
        if identity is None or LOGIN not in identity.privileges:
            return refusal(401, "authentication is needed, or the credentials are wrong")

        def allowed() -> bool:
            return self._authenticator.still_valid(identity, headers)

        try:
            asked = self._event_stream.check(scope, headers, identity.username)
            await self._event_stream.serve(scope, receive, send, asked, allowed)
        except StreamRefusedError as error:
            return refusal(error.status, str(error))
        return None

    async def _answer(
        self, scope: Scope, receive: Receive, headers: Mapping[bytes, bytes], path: str
    ) -> Answer:
        method = scope["method"]
        if method not in _READING and is_foreign(headers):
            return refusal(403, _FOREIGN)
        if headers.get(b"odata-version", b"4.0").strip() not in _ODATA_VERSIONS:
            return refusal(412, "the header OData-Version names none but 4.0")
        resource = self._dispatcher.resource(path)
        is_open = resource is not None and resource.is_open(method)
        identity: Identity | None = None
        # Who may see what $expand gathers behind an open resource is asked all the same.
        if not is_open or scope["query_string"]:
            identity = await self._authenticator.identify(headers, _client(scope))
        if identity is None and not is_open:
            return refusal(401, "authentication is needed, or the credentials are wrong")
        version: int | None = None
        if resource is not None and _is_plain_read(scope, headers):
            sees_all = identity is not None and LOGIN in identity.privileges
            if resource.version is not None and sees_all:
                version = resource.version(self._dispatcher.context, path)
                known = self._known.get(path)
                if known is not None and known[0] == version:
                    return known[1]
            if resource.hot:
                request = Request(
                    "GET", path, {}, {}, b"", identity, correlation_id(headers),
                    client=_client(scope),
                )  # fmt: skip
                return self._keep(path, version, _encoded(self._dispatcher.answer(request)))
        lane = self._lane(resource, scope, path)
        answer = await self._by_thread(scope, receive, headers, path, identity, lane)
        return self._keep(path, version, answer)

    async def _by_thread(
        self,
        scope: Scope,
        receive: Receive,
        headers: Mapping[bytes, bytes],
        path: str,
        identity: Identity | None,
        lane: Lane,
    ) -> Answer:
        """What Flask answers once the whole body is here."""
        try:
            body = await read_body(scope, receive, self._max_body_bytes, _BODY_TIMEOUT_S)
        except BodyTooLargeError:
            return refusal(413, f"the body is larger than {self._max_body_bytes} bytes")
        except TimeoutError:
            return refusal(408, f"the body did not arrive within {_BODY_TIMEOUT_S:.0f} s")
        extra = {
            "PATH_INFO": path,
            # The body of a HEAD is needed for its length; `_http` does not send it.
            "REQUEST_METHOD": "GET" if scope["method"] == "HEAD" else scope["method"],
            "dcpi.identity": identity,
            "dcpi.correlation_id": correlation_id(headers),
        }
        return await self._bridge.call(scope, body, extra, lane)

    def _lane(self, resource: Resource | None, scope: Scope, path: str) -> Lane:
        if resource is not None and scope["method"] in resource.costly:
            return self._passwords
        waits = self._dispatcher.may_wait_for_host(path, scope["query_string"])
        return self._hosts if waits else self._requests

    def _keep(self, path: str, version: int | None, answer: Answer) -> Answer:
        """The answer, which from now on holds while the version stays what it was before it."""
        if version is not None and answer[0] == http.HTTPStatus.OK:
            self._known[path] = version, answer
        return answer

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        headers = dict(scope["headers"])
        path, _ = home_path(normal_path(scope["raw_path"]))
        if path not in STREAMS:
            await _refuse_websocket(send, 404, f"no stream lives at {path}")
            return
        if is_foreign(headers):
            await _refuse_websocket(send, 403, _FOREIGN)
            return
        try:
            identity = await self._authenticator.identify(headers, _client(scope))
        except LaneFullError:
            await _refuse_websocket(send, 503, _BUSY)
            return
        if identity is None or LOGIN not in identity.privileges:
            await _refuse_websocket(send, 401, "authentication is needed")
            return
        await self._stream.serve(
            scope, receive, send, lambda: self._authenticator.still_valid(identity, headers)
        )


def normal_path(raw_path: bytes) -> str:
    """The path with each segment percent-encoded in one way; one trailing slash is dropped."""
    if _PLAIN_PATH.fullmatch(raw_path):
        return _without_slash(raw_path.decode())
    segments = raw_path.decode("latin-1").split("/")
    decoded = (unquote(segment, errors="surrogateescape") for segment in segments)
    path = "/".join(quote(part, safe=_UNQUOTED, errors="surrogateescape") for part in decoded)
    return _without_slash(path)


def _without_slash(path: str) -> str:
    """Several trailing slashes stay: they name nothing."""
    return path if path.endswith("//") else path.removesuffix("/") or "/"


def home_path(path: str) -> tuple[str, str | None]:
    """The path in the one home of the DCPI tree, and the alias that was asked, if any."""
    for alias in ALIASES:
        if path == alias or path.startswith(f"{alias}/"):
            return HOME + path[len(alias) :], alias
    return path, None


def is_foreign(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a browser sends this for a page of another origin, with a user's remembered login."""
    origin = headers.get(b"origin")
    if origin is None:
        return False
    try:
        authority = urlsplit(origin.decode("latin-1")).netloc
    except ValueError:
        return True
    return authority.lower() != headers.get(b"host", b"").decode("latin-1").lower()


def _is_plain_read(scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
    """Whether this asks for a resource as it is, whatever the client has already."""
    return (
        scope["method"] == "GET" and not scope["query_string"] and (b"if-none-match" not in headers)
    )


def _encoded(answer: tuple[int, dict[str, str], bytes]) -> Answer:
    status, headers, body = answer
    return status, encoded(headers.items()), body


def _client(scope: Scope) -> str:
    """The peer's address."""
    return str((scope.get("client") or ("",))[0])


def correlation_id(headers: Mapping[bytes, bytes]) -> str:
    """The client's X-Correlation-ID where it is a plain token, else a fresh one."""
    given = headers.get(b"x-correlation-id", b"")
    return given.decode() if _CORRELATION.fullmatch(given) else str(uuid.uuid4())


def _in_tree(alias: str, headers: Headers, body: bytes) -> tuple[Headers, bytes]:
    """The answer with every link in the tree that was asked."""
    moved = [
        (name, _moved(value.decode("latin-1"), alias).encode("latin-1"))
        if name == b"location"
        else (name, value)
        for name, value in headers
    ]
    if dict(headers).get(b"content-type", b"").startswith(b"application/json") and body:
        body = orjson.dumps(_with_links_in(alias, orjson.loads(body)))
    return moved, body


def _with_links_in(alias: str, value: Any) -> Any:
    """A JSON value whose links into the home tree lead into the alias; other text stays."""
    if isinstance(value, list):
        return [_with_links_in(alias, item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _moved(member, alias)
        if isinstance(member, str) and (name in _URIS or name.endswith("Uri"))
        else _with_links_in(alias, member)
        for name, member in value.items()
    }


def _moved(uri: str, alias: str) -> str:
    inside = uri == HOME or uri.startswith(f"{HOME}/")
    return alias + uri[len(HOME) :] if inside else uri


async def _refuse_websocket(send: Send, status: int, text: str) -> None:
    status, headers, body = refusal(status, text)
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})
