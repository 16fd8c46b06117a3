"""Control sockets: one JSON object a line in each direction, over a Unix socket of the user's own.

A request is answered {"ok": true, ...}; a refused one {"ok": false, "error": "..."}, and changes
nothing. A line above MAX_LINE_BYTES is refused once, and the connection closed.
"""

from __future__ import annotations

import contextlib
import io
import json
import socket
import socketserver
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from emulator.plant.errors import ControlError

MAX_LINE_BYTES = 65_536
"""The longest request, with its line end."""

Perform = Callable[[dict[str, Any]], dict[str, Any]]
"""Does one request and gives the answer's members besides `ok`; ControlError with the reason."""


class ControlServer:
    """Serves a control socket at `path`, mode 0600, from threads of its own."""

    def __init__(self, path: Path, perform: Perform) -> None:
        self._path = path
        path.unlink(missing_ok=True)  # a killed run leaves its socket behind
        self._server = _Server(str(path), perform)
        path.chmod(0o600)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="control", daemon=True
        )

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and remove the socket."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._path.unlink(missing_ok=True)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False  # a client that stays connected must not hold up the end

    def __init__(self, path: str, perform: Perform) -> None:
        super().__init__(path, _Handler)
        self.perform = perform


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        try:
            while line := self.rfile.readline(MAX_LINE_BYTES):
                if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
                    self._refuse_long_line()
                    return
                self._answer(line)
        except OSError:  # the client has gone
            return

    def _answer(self, line: bytes) -> None:
        try:
            answer = {"ok": True, **self.server.perform(_request(line))}
        except ControlError as error:
            answer = {"ok": False, "error": str(error)}
        self.wfile.write(json.dumps(answer).encode() + b"\n")

    def _refuse_long_line(self) -> None:
        # To its end first: a client that is still sending would not see the answer.
        while (rest := self.rfile.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
            pass
        answer = {"ok": False, "error": f"a request is longer than {MAX_LINE_BYTES} bytes"}
        self.wfile.write(json.dumps(answer).encode() + b"\n")


def _request(line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ControlError(f"not JSON: {error}") from error
    if not isinstance(request, dict):
        raise ControlError("not a JSON object")
    return request


class ControlClient:
    """A connection to a control socket; may be shared by threads.

    Every method raises ControlError with the peer's reason, or when it does not answer in time.
    The next request after an error goes over a new connection: an answer that comes late can never
    be taken for another's.
    """

    peer: ClassVar[str] = "peer"
    """Who serves it, in messages."""

    def __init__(self, path: str | Path, *, timeout_s: float = 5.0) -> None:
        self._path = str(path)
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._stream: io.BufferedRWPair | None = self._connect()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        with self._lock:
            self._hang_up()

    def ping(self) -> None:
        """Return when the peer answers."""
        self.ask(op="ping")

    def ask(self, **request: object) -> dict[str, Any]:
        """The answer to a request."""
        with self._lock:
            try:
                return self._exchange(request)
            except ControlError:
                self._hang_up()
                raise

    def _exchange(self, request: dict[str, object]) -> dict[str, Any]:
        """The answer to one request, which was not a refusal; ControlError."""
        if self._stream is None:
            self._stream = self._connect()
        try:
            self._stream.write(json.dumps(request).encode() + b"\n")
            self._stream.flush()
            line = self._stream.readline()
        except OSError as error:
            raise ControlError(f"{self._path}: the {self.peer} does not answer: {error}") from error
        if not line.endswith(b"\n"):
            raise ControlError(f"{self._path}: the {self.peer} has hung up")
        try:
            answer: dict[str, Any] = json.loads(line)
            accepted = answer["ok"]
        except (ValueError, KeyError, TypeError) as error:
            raise ControlError(
                f"{self._path}: the answer is not the {self.peer}'s: {error!r}"
            ) from error
        if not accepted:
            raise ControlError(answer.get("error", "refused"))
        return answer

    def _connect(self) -> io.BufferedRWPair:
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with line:  # the stream keeps the connection open
            line.settimeout(self._timeout_s)
            try:
                line.connect(self._path)
            except OSError as error:
                raise ControlError(f"{self._path}: no {self.peer} answers: {error}") from error
            return line.makefile("rwb")

    def _hang_up(self) -> None:
        if self._stream is not None:
            with contextlib.suppress(OSError):  # what was not sent is sent no more
                self._stream.close()
            self._stream = None
