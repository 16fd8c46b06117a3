"""Images of the emulated BMC's firmware, in a file or behind HTTP."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager


def image(version: str) -> bytes:
    """An image of that version."""
    payload = b"code of " + version.encode()
    digest = hashlib.sha256(payload).hexdigest()
    return f"DCPI-EMULATOR-IMAGE\nVersion: {version}\nSHA256: {digest}\n\n".encode() + payload


@contextmanager
def image_server(version: str) -> Iterator[str]:
    """The URI of an image of that version, until the block ends."""

    class Images(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """The image, wherever it is asked for."""
            self.send_response(200)
            self.end_headers()
            self.wfile.write(image(version))

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Images) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/bmc.img"
        finally:
            server.shutdown()
            thread.join()
