"""An HTTPS server in front of a running service that may change what it says: for tests of gates.

It is what stands between a client and a BMC in a laboratory: it hands every request on, over one
new connection, and gives the answer to a function that may alter it.
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from e2e.emulator_client import Running, unverified

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}
_TIMEOUT_S = 30


@dataclass
class Exchange:
    """One request, of which `path` and `headers` may be changed, and then its answer."""

    method: str
    path: str
    headers: dict[str, str]
    status: int = 0
    answer_headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


Change = Callable[[Exchange], None]


def leave(exchange: Exchange) -> None:
    """Change nothing."""


@contextlib.contextmanager
def proxy(bmc: Running, *, asking: Change = leave, answering: Change = leave) -> Iterator[int]:
    """The port of a proxy in front of `bmc`; it bears the same certificate."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = _TIMEOUT_S

        def _pass_on(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            data = self.rfile.read(length) if length else None
            headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP}
            exchange = Exchange(self.command, self.path, headers)
            asking(exchange)
            _ask(bmc.port, exchange, data)
            answering(exchange)
            self.send_response_only(exchange.status)
            for name, value in exchange.answer_headers.items():
                self.send_header(name, value)
            if self.command != "HEAD" and exchange.status not in (204, 304):
                self.send_header("Content-Length", str(len(exchange.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(exchange.body)

        do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = do_DELETE = do_OPTIONS = _pass_on  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    folder = Path(bmc.state_dir) / "tls"
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    # The handshake belongs to the connection's own thread, not to the one that accepts.
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _ask(port: int, exchange: Exchange, data: bytes | None) -> None:
    connection = http.client.HTTPSConnection(
        "127.0.0.1", port, timeout=_TIMEOUT_S, context=unverified()
    )
    with contextlib.closing(connection):
        connection.request(exchange.method, exchange.path, data, exchange.headers)
        response = connection.getresponse()
        exchange.status = response.status
        exchange.answer_headers = {
            k: v for k, v in response.getheaders() if k.lower() not in _HOP_BY_HOP
        }
        exchange.body = response.read()
