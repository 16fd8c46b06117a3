"""HTTP/1.1 on one connection: uvicorn's parser, with every wait and every buffer bounded.

uvicorn waits for ever for a request to begin, for its head to end and for a client to read, takes
heads of any length and queues any number of requests behind one another.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from dataclasses import dataclass
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from bmc_ext.serving.refusal import refusal


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client, and all of them together, may take up."""

    connections: int = 1000
    handshake_s: float = 10.0
    head_s: float = 10.0
    """From the first byte, or from the connection, to the end of the request's head."""
    write_s: float = 30.0
    """For a client that does not read its answers to begin to."""
    head_bytes: int = 32_768
    pipelined: int = 64


# Two of these mean that two readers of the request can see two different ones.
_GIVEN_ONCE = frozenset({b"host", b"authorization", b"x-auth-token", b"content-type", b"origin"})


class _RefusedError(Exception):
    """Stops the parser; the connection is answered and closed."""


class OneWrite:
    """A transport on which an answer's head waits for its body: one TLS record and one send.

    uvicorn writes them apart, which costs a third of a small answer's time, and the client wakes
    twice. A head that no body follows at once goes out alone.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""

    def write(self, data: bytes) -> None:
        """Send, or keep a head until the next write or the loop's next turn."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1."):
            self._head = data
            self._loop.call_soon(self._send_head)
            return
        self._transport.write(data)

    def close(self) -> None:
        """Send what waits, then close."""
        self._send_head()
        self._transport.close()

    def _send_head(self) -> None:
        head, self._head = self._head, b""
        if head:
            self._transport.write(head)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        limits: Limits,
    ) -> None:
        super().__init__(config, server_state, app_state)
        self._limits = limits
        self._head_open = False
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._refused: tuple[int, str] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there; asyncio passes a Transport where its type says BaseTransport."""
        super().connection_made(transport)
        self.transport = OneWrite(transport, self.loop)  # type: ignore[assignment]
        if len(self.connections) > self._limits.connections:
            transport.abort()
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._forget_head()
        self._forget_write()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, then see whether the head has come too far or not far enough."""
        was_open = self._head_open
        super().data_received(data)
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            self._forget_head()
            return
        if was_open and self._head_open:
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.head_bytes:
                self._refused = self._too_long()
                self.send_400_response("")
                return
        if self.cycle is None or self.cycle.response_complete:
            self._await_head()

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._head_open = True
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is there in time: check it before anything acts on it."""
        self._head_open = False
        self._forget_head()
        self._refused = self._fault()
        if self._refused is not None:
            raise _RefusedError
        super().on_headers_complete()

    def handle_websocket_upgrade(self) -> None:
        """Hand over to WebSocket; a head that its own parser refuses would stay unanswered."""
        super().handle_websocket_upgrade()
        upgraded = self.transport.get_protocol()
        if isinstance(upgraded, WebSocketsSansIOProtocol) and not upgraded.handshake_initiated:
            self.send_400_response("this request cannot become a WebSocket")

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request and close: nothing after it can be told apart."""
        unknown = isinstance(sys.exc_info()[1], httptools.HttpParserInvalidMethodError)
        status, text = self._refused or ((501, "the method is unknown") if unknown else (400, msg))
        status, headers, body = refusal(status, text)
        headers = [*headers, (b"content-length", str(len(body)).encode())]
        lines = [name + b": " + value + b"\r\n" for name, value in headers]
        self.transport.write(b"".join([STATUS_LINE[status], *lines, b"\r\n", body]))
        self.transport.close()

    def pause_writing(self) -> None:
        """The client does not read: it gets a while."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(self._limits.write_s, self._reset)

    def _reset(self) -> None:
        """Drop the connection with what the kernel still holds for it: megabytes, for minutes."""
        line = self.transport.get_extra_info("socket")
        if line is not None:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._forget_write()
        super().resume_writing()

    def _fault(self) -> tuple[int, str] | None:
        """Status and text for a head that is not taken."""
        if len(self.pipeline) >= self._limits.pipelined:
            return 400, f"more than {self._limits.pipelined} requests wait on this connection"
        length = len(self.url)
        given: set[bytes] = set()
        for name, value in self.headers:
            length += len(name) + len(value) + 4  # with what stands between and behind them
            if name in given and name in _GIVEN_ONCE:
                return 400, f"the header {name.decode()} is given twice"
            given.add(name)
        if length > self._limits.head_bytes:
            return self._too_long()
        if b"host" not in given and self.parser.get_http_version() == "1.1":
            return 400, "the header Host is missing"  # RFC 9112 3.2
        return None

    def _too_long(self) -> tuple[int, str]:
        return 431, f"the request's head is longer than {self._limits.head_bytes} bytes"

    def _await_head(self) -> None:
        """Give the client until a deadline to send a whole head; the first deadline holds."""
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self._limits.head_s, self.transport.abort)

    def _forget_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _forget_write(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
