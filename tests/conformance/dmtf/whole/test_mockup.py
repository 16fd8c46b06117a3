"""The committed mockup, served as DMTF's Redfish-Mockup-Server does, before DMTF's validator."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

from conformance.dmtf import validators
from conformance.mockups import COMMITTED

_FILES = ("index.json", "index.xml")


@contextlib.contextmanager
def mockup_server(tree: Path) -> Iterator[int]:
    """The port of a server that looks up the path of a request, undecoded, among the folders."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            folder = tree / self.path.partition("?")[0].strip("/")
            found = next((p for p in map(folder.joinpath, _FILES) if p.is_file()), None)
            content = b"" if found is None else found.read_bytes()
            self.send_response(404 if found is None else 200)
            kind = "xml" if found is not None and found.suffix == ".xml" else "json"
            self.send_header("Content-Type", f"application/{kind}")
            self.send_header("OData-Version", "4.0")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_committed_mockup_is_a_valid_service(tmp_path: Path, csdl: Path) -> None:
    """Its files alone are a tree in which DMTF's validator finds every link, and no fault."""
    with mockup_server(COMMITTED) as port:
        report = validators.service(port, tmp_path, csdl, scheme="http")
    assert report.failed == 0, report.failures
    assert len(report.visited) >= 350
