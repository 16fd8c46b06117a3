"""A listener for events: an HTTPS server of the standard library that keeps what it is sent."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from e2e.emulator_client import Patience

from bmc_ext.security.lab_pki import ensure_lab_certificate


class EventListener:
    """Answers each POST with `status`, after `hold` is set; `posts` are headers and bodies."""

    def __init__(self, directory: Path) -> None:
        self.status = 204
        self.hold = threading.Event()
        self.hold.set()
        self.posts: list[tuple[dict[str, str], Any]] = []
        listener = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                """Keep what comes."""
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                listener.posts.append(({k.lower(): v for k, v in self.headers.items()}, body))
                listener.hold.wait(30)
                self.send_response(listener.status)
                self.send_header("Content-Length", "0")
                self.send_header("Location", "https://127.0.0.1:1/elsewhere")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.certificate, key = ensure_lab_certificate(directory, ["127.0.0.1"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)

    @property
    def url(self) -> str:
        """Where to send events."""
        return f"https://127.0.0.1:{self.server.server_address[1]}/events?site=1"

    @property
    def events(self) -> list[dict[str, Any]]:
        """The records of all Event payloads that came, in the order in which they came."""
        return [record for _, body in list(self.posts) for record in body.get("Events", [])]

    def wait_for(self, message: str, within_s: float = 10.0) -> dict[str, Any]:
        """The first record whose MessageId ends so; AssertionError where none comes in time."""
        patience = Patience(within_s)
        while True:
            for record in self.events:
                if record["MessageId"].endswith(message):
                    return record
            came = [record["MessageId"] for record in self.events]
            assert not patience.is_over(), f"no {message} within {within_s} s, but {came}"
            time.sleep(0.02)


@contextmanager
def event_listener(directory: Path) -> Iterator[EventListener]:
    """A listener that runs until the block ends."""
    listener = EventListener(directory)
    thread = threading.Thread(target=listener.server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield listener
    finally:
        listener.hold.set()
        listener.server.shutdown()
        thread.join()
        listener.server.server_close()
