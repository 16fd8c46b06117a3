"""A BMC that serves a folder in the layout of DMTF's mockups, over TLS, and says what it was asked.

A resource is `<folder>/redfish/v1/<path>/index.json`, a document beside JSON `index.xml`. Sessions
and Basic work, PATCH changes what is served, POST to an action is taken. `instead` answers before
all this where it returns true.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import json
import queue
import secrets
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from upstream_bmcs import ACCOUNT, Seen, certificate, digest

from bmc_ext.clock import SystemClock
from bmc_ext.security.lab_pki import ensure_lab_certificate

SESSIONS = "/redfish/v1/SessionService/Sessions"
SSE = "/redfish/v1/EventService/SSE"


class _LongAgo(SystemClock):
    """500 days ago."""

    def unix_ns(self) -> int:
        """UTC then."""
        return super().unix_ns() - 500 * 86_400 * 1_000_000_000


class MockupBmc(http.server.ThreadingHTTPServer):
    """The server; `port` once it is made."""

    daemon_threads = True

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder
        self.accounts = {ACCOUNT.username: ACCOUNT.password}
        self.tokens: dict[str, str] = {}
        self.seen: list[Seen] = []
        self.connections: list[Any] = []
        self.instead: Callable[[Handler], bool] = lambda _: False
        self.events: queue.Queue[str | None] = queue.Queue()
        self.cert, key, self.ca = certificate(folder / "tls")
        self.pin = digest(self.cert)
        super().__init__(("127.0.0.1", port), Handler)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.cert, key)
        self.socket = self.context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember each connection: they end with the server."""
        self.connections.append(request)
        super().process_request(request, client_address)

    def hang_up(self) -> None:
        """End what is still open."""
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        """Where a sidecar finds it."""
        return f"https://127.0.0.1:{self.port}"

    def asked(self, method: str = "", within: str = "") -> list[str]:
        """Paths that it was asked for, of that method and with that text in them."""
        return [s.path for s in self.seen if method in ("", s.method) and within in s.path]

    def expire_certificate(self) -> Path:
        """Bear one from now on that ended last year; its authority, which did not."""
        folder = self.folder / "old"
        self.context.load_cert_chain(*ensure_lab_certificate(folder, clock=_LongAgo()))
        return folder / "lab-ca.pem"

    def handle_error(self, *_: object) -> None:
        """Clients that go away are no news."""

    def body(self, path: str) -> dict[str, Any]:
        """What is served at a path now."""
        text = (self.folder / unquote(path).strip("/") / "index.json").read_text(encoding="utf-8")
        found: dict[str, Any] = json.loads(text)
        return found


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    server: MockupBmc
    sent = b""

    def _any(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self.sent = self.rfile.read(length)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append(Seen(self.command, self.path, headers, self.sent))
        if self.server.instead(self):
            return
        path = urlsplit(self.path).path.rstrip("/")
        is_open = path == "/redfish/v1" or (self.command, path) == ("POST", SESSIONS)
        if not is_open and not self._is_known():
            self.say(401, {"error": {"code": "Base.1.0.NoValidSession", "message": "who?"}})
            return
        if path == SSE and self.command == "GET":
            self._stream()
        else:
            getattr(self, f"_{self.command.lower()}")(path)

    do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = do_DELETE = do_OPTIONS = _any  # noqa: N815

    def say(
        self, status: int, body: object = None, *, data: bytes | None = None, **headers: str
    ) -> None:
        """One whole answer."""
        if body is not None:
            data = json.dumps(body).encode()
            headers = {"Content-Type": "application/json", **headers}
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data or b"")))
        self.end_headers()
        if data and self.command != "HEAD":
            self.wfile.write(data)

    def _is_known(self) -> bool:
        token = self.headers.get("X-Auth-Token")
        if token is not None:
            return token in self.server.tokens
        given = self.headers.get("Authorization", "")
        return any(
            given == f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
            for user, password in self.server.accounts.items()
        )

    def _get(self, path: str) -> None:
        place = self.server.folder / unquote(path).strip("/")
        if (place / "index.xml").exists():
            data = (place / "index.xml").read_bytes()
            self.say(200, data=data, Content_Type="application/xml")
        elif (place / "index.json").exists():
            data = (place / "index.json").read_bytes()
            tag = f'"{hashlib.sha256(data).hexdigest()[:12]}"'
            self.say(
                200, json.loads(data), ETag=tag, Allow="GET, PATCH, POST, DELETE",
                X_Auth_Token="not-for-clients",
            )  # fmt: skip
        else:
            error = {"code": "Base.1.0.ResourceMissingAtURI", "message": f"nothing at {path}"}
            self.say(404, {"error": error})

    def _patch(self, path: str) -> None:
        place = self.server.folder / unquote(path).strip("/") / "index.json"
        data = place.read_bytes()
        wanted = self.headers.get("If-Match")
        if wanted not in (None, f'"{hashlib.sha256(data).hexdigest()[:12]}"'):
            self.say(412, {"error": {"code": "Base.1.0.PreconditionFailed", "message": "no"}})
            return
        changed = json.dumps({**json.loads(data), **json.loads(self.sent)})
        place.write_text(changed, encoding="utf-8")
        self.say(200, json.loads(changed))

    def _post(self, path: str) -> None:
        if path == SESSIONS:
            self._log_in()
        elif path.endswith("Slow.Action"):
            where = f"{self.server.url}/redfish/v1/TaskService/Tasks/1/Monitor"
            task = {"@odata.id": "/redfish/v1/TaskService/Tasks/1", "Id": "1"}
            self.say(202, task, Location=where, Retry_After="7")
        elif path.endswith("Elsewhere.Action"):
            self.say(202, {"Id": "1"}, Location="https://198.51.100.7/redfish/v1/Tasks/1")
        else:
            self.say(204)

    def _delete(self, path: str) -> None:
        token = self.headers.get("X-Auth-Token", "")
        if self.server.tokens.get(token) == path:
            del self.server.tokens[token]
        self.say(204)

    def _options(self, path: str) -> None:
        del path
        self.say(204, Allow="GET, PATCH")

    def _log_in(self) -> None:
        body = json.loads(self.sent)
        if self.server.accounts.get(body["UserName"]) != body["Password"]:
            self.say(401, {"error": {"code": "Base.1.0.NoValidSession", "message": "no"}})
            return
        token = secrets.token_hex(8)
        self.server.tokens[token] = f"{SESSIONS}/{token[:4]}"
        self.say(201, {"Id": token[:4]}, X_Auth_Token=token, Location=self.server.tokens[token])

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        while (text := self.server.events.get()) is not None:
            self.wfile.write(text.encode())
            self.wfile.flush()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def mockup_bmc(folder: Path, port: int = 0) -> Iterator[MockupBmc]:
    """A BMC that serves the mockup in a folder until the block ends."""
    server = MockupBmc(folder, port)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.events.put(None)
        server.shutdown()
        thread.join()
        server.server_close()
        server.hang_up()


def write_mockup(folder: Path, tree: dict[str, dict[str, Any]]) -> None:
    """Write resources by their path below /redfish/v1 in the layout of DMTF's mockups."""
    for path, body in tree.items():
        place = folder / "redfish" / "v1" / path
        place.mkdir(parents=True, exist_ok=True)
        full = {"@odata.id": f"/redfish/v1/{path}".rstrip("/"), **body}
        whole = place / f"index.{threading.get_ident()}"
        whole.write_text(json.dumps(full), encoding="utf-8")
        whole.replace(place / "index.json")  # nobody is served half a resource
