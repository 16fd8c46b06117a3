"""`dcpi-bmc probe` as a container's health check runs it."""

from __future__ import annotations

import contextlib
import http.server
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from e2e.emulator_client import COMMAND, Running

from bmc_ext.security.lab_pki import ensure_lab_certificate


def _probe(*words: object) -> tuple[int, str, str]:
    result = subprocess.run(
        [COMMAND, "probe", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return result.returncode, result.stdout, result.stderr


def test_a_service_that_measures_is_ready(bmc: Running) -> None:
    """Without a login, with the lab's authority or with any certificate: status 0."""
    url = f"https://127.0.0.1:{bmc.port}"
    authority = bmc.state_dir / "tls" / "lab-ca.pem"
    assert _probe(url, "--ca", authority) == (0, f"{url} is ready\n", "")
    assert _probe(url, "--live", "--insecure") == (0, f"{url} is live\n", "")


def test_of_several_each_is_told_and_one_that_fails_counts(bmc: Running) -> None:
    """A port where nobody listens makes the status 1; the other is told all the same."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    urls = [f"https://127.0.0.1:{bmc.port}", f"https://127.0.0.1:{port}"]
    status, said, _ = _probe(*urls, "--insecure")
    assert status == 1
    assert said.splitlines() == [
        f"{urls[0]} is ready",
        f"{urls[1]} does not answer: Connection refused",
    ]


def test_a_service_that_hangs_is_told_in_time() -> None:
    """One that takes the connection and says nothing is waited for no longer than told."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        status, said, _ = _probe(url, "--insecure", "--timeout", 0.2)
    assert status == 1
    assert said == f"{url} does not answer in time\n"


class _Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """A page for every path, as a web application answers, but for a health of its own."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"status": "ok"}' if self.path == "/livez" else b"<p>welcome")

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextlib.contextmanager
def _web_server(pki: Path | None) -> Iterator[str]:
    """Its URL; without TLS where no certificate is given."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    if pki is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pki / "server.pem", pki / "server.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_another_web_server_is_not_ready(tmp_path: Path) -> None:
    """A page at every path is no service of ours, though it answers 200."""
    ensure_lab_certificate(tmp_path)
    with _web_server(tmp_path) as url:
        for words in ((), ("--live",)):
            status, said, _ = _probe(url, "--insecure", *words)
            assert (status, said) == (1, f"{url} answers 200 OK, and not as this service does\n")


def test_what_speaks_no_tls_is_told_in_plain_words() -> None:
    """A server of plain HTTP."""
    with _web_server(None) as url:
        status, said, _ = _probe(url, "--insecure")
    assert (status, said) == (1, f"{url} does not answer: what is there speaks no TLS\n")


def test_an_unknown_certificate_is_not_trusted(bmc: Running) -> None:
    """It says what to give."""
    status, said, _ = _probe(f"https://127.0.0.1:{bmc.port}")
    assert status == 1
    assert "is not trusted" in said
    assert "give --ca FILE" in said


def test_bad_usage_is_status_2(bmc: Running) -> None:
    """No URL, one without TLS, endless waits, and options that exclude each other."""
    url = f"https://127.0.0.1:{bmc.port}"
    assert _probe()[0] == 2
    assert _probe("http://127.0.0.1:1")[0] == 2
    urls = ("https://[::1", "https://a b", f"https://{'a' * 70}.invalid", "https://\x1b[2J/")
    times = ((url, "--timeout", "nan"), (url, "--timeout", "inf"))
    for words in (*((wrong,) for wrong in urls), *times):
        status, _, said = _probe(*words)
        assert (status, "Traceback" in said) == (2, False), words
    status, _, said = _probe(f"https://root:secret@127.0.0.1:{bmc.port}", "--insecure")
    assert (status, "secret" in said) == (2, False)
    assert _probe(url, "--insecure", "--ca", bmc.state_dir / "tls" / "lab-ca.pem")[0] == 2
