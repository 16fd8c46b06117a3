"""`dcpi-bmc watch` against a real WebSocket server over TLS."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console
from rich.live import Live
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

import schemas
from bmc_ext.commands.watch import _Table, watch
from bmc_ext.security.lab_pki import ensure_lab_certificate

Talk = Callable[[ServerConnection], None]
Gate = Callable[[ServerConnection, Request], Response | None]

FRAME: dict[str, Any] = json.loads(
    schemas.path("examples/power_stream.message.json").read_text(encoding="utf-8")
)


def frame(seq: int, **changes: Any) -> str:
    """The example frame with that number."""
    return json.dumps(FRAME | {"seq": seq} | changes)


class Stream:
    """A stream whose connections do what `talks` say, one after the other, the last for good."""

    def __init__(self, pki: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pki / "server.pem", pki / "server.key")
        self.talks: list[Talk] = []
        self.gate: Gate = lambda *_: None
        self.paths: list[str] = []
        self.credentials: list[str | None] = []
        self._server: Server = serve(
            self._talk, "127.0.0.1", 0, ssl=context, process_request=self._ask
        )
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"https://127.0.0.1:{self._server.socket.getsockname()[1]}"

    def close(self) -> None:
        """Stop it."""
        self._server.shutdown()
        self._thread.join()

    def _ask(self, connection: ServerConnection, request: Request) -> Response | None:
        self.paths.append(request.path)
        self.credentials.append(request.headers.get("Authorization"))
        return self.gate(connection, request)

    def _talk(self, connection: ServerConnection) -> None:
        talk = self.talks.pop(0) if len(self.talks) > 1 else self.talks[0]
        talk(connection)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a lab authority and a server certificate."""
    folder = tmp_path_factory.mktemp("pki")
    ensure_lab_certificate(folder)
    return folder


@pytest.fixture
def stream(pki: Path) -> Iterator[Stream]:
    """A running stream."""
    running = Stream(pki)
    yield running
    running.close()


def run(stream: Stream, pki: Path, *arguments: str) -> Result:
    """Run `watch` as user `u` with password `p`, trusting the lab authority."""
    return CliRunner().invoke(
        watch,
        [stream.url, "--ca", str(pki / "lab-ca.pem"), *arguments],
        env={"DCPI_USER": "u", "DCPI_PASSWORD": "p"},
    )


def sends(*frames: str, then_wait: bool = False) -> Talk:
    """A connection that sends these and closes, or stays silent."""

    def talk(connection: ServerConnection) -> None:
        for text in frames:
            connection.send(text)
        if then_wait:
            for _ in connection:
                pass

    return talk


def test_each_window_is_one_line_where_the_output_is_no_terminal(stream: Stream, pki: Path) -> None:
    """Into a pipe go lines: window, seq, dropped, quality, total and feeds; --seconds ends it."""
    silent_feed = {"feed_id": "cooling", "quality": "comm-error", "power_mw": None,
                   "frequency_hz": None}  # fmt: skip
    stream.talks = [sends(frame(1), frame(2, feeds=[silent_feed], dropped=3), then_wait=True)]
    result = run(stream, pki, "--seconds", "0.5")
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        "2026-03-04T10:15:30.100Z seq=1 dropped=0 quality=ok total_mw=23.036 "
        "hall_1=19.536 cooling=3.500",
        "2026-03-04T10:15:30.100Z seq=2 dropped=3 quality=ok total_mw=23.036 cooling=–",
    ]
    assert stream.paths == ["/dcpi/power/stream"]
    assert stream.credentials == ["Basic " + base64.b64encode(b"u:p").decode()]


def test_a_lost_connection_is_taken_up_from_the_last_frame(stream: Stream, pki: Path) -> None:
    """After a loss it says so, connects again and asks for what came behind the last seq."""
    stream.talks = [sends(frame(1), frame(2)), sends(frame(3), then_wait=True)]
    result = run(stream, pki, "--seconds", "1")
    assert result.exit_code == 0, result.output
    assert [line.split()[1] for line in result.stdout.splitlines()] == ["seq=1", "seq=2", "seq=3"]
    assert stream.paths == ["/dcpi/power/stream", "/dcpi/power/stream?since=2"]
    assert result.stderr.count("reconnecting") == 1


def test_a_refusal_ends_it_with_1(stream: Stream, pki: Path) -> None:
    """Wrong credentials are told once with the service's words, and not tried again."""
    body = json.dumps({"error": {"message": "authentication is needed"}})

    def refuse(connection: ServerConnection, request: Request) -> Response:
        return connection.respond(401, body)

    stream.gate = refuse
    result = run(stream, pki)
    assert (result.exit_code, result.stderr) == (1, "Error: 401: authentication is needed\n")
    assert len(stream.paths) == 1


def test_what_is_no_power_stream_is_refused(stream: Stream, pki: Path) -> None:
    """A server that sends something else is told by the first member that does not fit."""
    stream.talks = [sends('{"hello": 1}')]
    result = run(stream, pki)
    assert result.exit_code == 1
    assert "sends no power stream: dcpi_version is missing" in result.stderr


def test_nobody_there_ends_it_with_1(pki: Path) -> None:
    """Where the first connection fails there is nothing to take up again."""
    arguments = ["https://127.0.0.1:1", "--user", "u", "--password", "p", "--insecure"]
    result = CliRunner().invoke(watch, arguments)
    assert result.exit_code == 1
    assert "does not answer: Connection refused" in result.stderr


def test_the_table_shows_feeds_and_takes_them_away_when_lost() -> None:
    """In a terminal there is a row per feed and a total; after a loss no old value stays."""
    console = Console(force_terminal=True, width=100, color_system=None, record=True)
    with Live(console=console, auto_refresh=False) as live:
        table = _Table(live)
        table.frame(json.loads(frame(7, dropped=2)))
        shown = _text(live)
        table.lost("no answer")
        lost = _text(live)
    for text in ("hall_1", "19.536", "50.013", "total", "23.036", "ok", "2 lost before it"):
        assert text in shown
    assert "no answer; reconnecting" in lost
    assert "19.536" not in lost


def _text(live: Live) -> str:
    console = Console(width=100, color_system=None)
    with console.capture() as capture:
        console.print(live.renderable)
    return capture.get()
