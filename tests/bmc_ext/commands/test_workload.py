"""`dcpi-bmc workload` against a real HTTPS server that answers what it is told to."""

from __future__ import annotations

import base64
import http.server
import io
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

import schemas
from bmc_ext.clock import parse_iso8601
from bmc_ext.commands.workload import _workload_table, workload
from bmc_ext.messages.validate import validate
from bmc_ext.security.lab_pki import ensure_lab_certificate

WORKLOADS = "/redfish/v1/dcpi/workloads"


class Service(http.server.ThreadingHTTPServer):
    """Answers from `answers`: statuses and bodies by method and path, the last of them for good."""

    daemon_threads = True

    def __init__(self, certificate: Path, key: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.answers: dict[tuple[str, str], list[tuple[int, Any]]] = {}
        self.seen: list[tuple[str, str, bytes, str]] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"https://127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that does not trust the certificate hangs up: nothing to print."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Service

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        self.server.seen.append(
            (self.command, self.path, body, self.headers.get("Authorization", ""))
        )
        script = self.server.answers.get((self.command, self.path), [(404, error("not here"))])
        status, answer = script.pop(0) if len(script) > 1 else script[0]
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


def error(text: str, *places: str) -> dict[str, Any]:
    """A Redfish error body."""
    extended = [{"Message": text, "RelatedProperties": list(places)}]
    return {"error": {"code": "x", "message": text, "@Message.ExtendedInfo": extended}}


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a lab authority and a server certificate."""
    folder = tmp_path_factory.mktemp("pki")
    ensure_lab_certificate(folder)
    return folder


@pytest.fixture
def service(pki: Path) -> Iterator[Service]:
    """A running server."""
    server = Service(pki / "server.pem", pki / "server.key")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def run(service: Service, pki: Path) -> Any:
    """Run a `workload` command as user `u` with password `p`, trusting the lab authority."""

    def run(command: str, *arguments: str, stdin: str | bytes = "") -> Result:
        trust = ["--url", service.url, "--ca", str(pki / "lab-ca.pem")]
        return CliRunner().invoke(
            workload,
            [command, *trust, *arguments],
            input=stdin,
            env={"DCPI_USER": "u", "DCPI_PASSWORD": "p"},
        )

    return run


def shown(name: str) -> dict[str, Any]:
    """One of the published examples."""
    text = schemas.path(f"examples/{name}.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def test_the_example_is_the_drafts_own(shared: Path) -> None:
    """Without options the example is the announcement that the draft prints, to the letter."""
    text = (shared / "spec" / "dcpi-standard-draft.md").read_text(encoding="utf-8")
    begin = text.index("```json") + 7
    printed = CliRunner().invoke(workload, ["example"])
    assert printed.exit_code == 0
    assert json.loads(printed.output) == json.loads(text[begin : text.index("```", begin)])


def test_the_example_can_be_made_new_and_smaller() -> None:
    """With --now it starts five minutes ahead under a new identity; all powers follow the peak."""
    printed = CliRunner().invoke(workload, ["example", "--now", "--peak-mw", "18"])
    message = validate(json.loads(printed.output), "workload_announcement", strict=True)
    profile = message["power_profile"]
    start_s = parse_iso8601(profile["start_time_estimate"])
    assert start_s - parse_iso8601(message["timestamp"]) == pytest.approx(300, abs=0.01)
    assert message["workload_id"] != "ai-training-job-12345"
    assert (profile["peak_power_mw"], profile["flexibility"]["min_power_mw"]) == (18, 9)
    assert message["thermal_profile"]["heat_generation_mw"] == 17.5
    named = CliRunner().invoke(workload, ["example", "--id", "mine"])
    assert json.loads(named.output)["workload_id"] == "mine"
    for nothing in ("nan", "inf"):
        assert CliRunner().invoke(workload, ["example", "--peak-mw", nothing]).exit_code == 2


def test_announce_sends_the_file_and_shows_the_decision(run: Any, service: Service) -> None:
    """The bytes of the file arrive as they are, with credentials; an approval ends with 0."""
    response = shown("workload_announce.response")
    service.answers["POST", "/dcpi/workload/announce"] = [(200, response)]
    sent = b'{"x": 1}\n'
    result = run("announce", "-", stdin=sent)
    assert result.exit_code == 0, result.output
    for text in ("llm-pretrain-7", "approved with conditions", "36.2 MW", "30 °C"):
        assert text in result.output
    credentials = "Basic " + base64.b64encode(b"u:p").decode()
    assert service.seen == [("POST", "/dcpi/workload/announce", sent, credentials)]


def test_a_rejection_ends_with_1_and_shows_the_alternative(run: Any, service: Service) -> None:
    """A rejected announcement is shown with what would be accepted, and the exit status is 1."""
    rejected = shown("workload_announce.rejected")
    service.answers["POST", "/dcpi/workload/announce"] = [(200, rejected)]
    result = run("announce", "-", stdin="{}")
    assert result.exit_code == 1
    assert "would be accepted up to" in result.output
    assert "95 MW" in result.output
    as_json = run("announce", "-", "--json", stdin="{}")
    assert (as_json.exit_code, json.loads(as_json.output)) == (1, rejected)


def test_an_error_is_one_line_with_the_member(run: Any, service: Service) -> None:
    """What the service refuses is told in one line with status, text and property; exit 1."""
    refused = error("workload_id is missing", "#/workload_id")
    service.answers["POST", "/dcpi/workload/announce"] = [(400, refused)]
    result = run("announce", "-", stdin="{}")
    assert result.exit_code == 1
    assert result.stderr == "Error: 400: workload_id is missing (#/workload_id)\n"
    service.answers["POST", "/dcpi/workload/announce"] = [(502, ["no", "redfish"])]
    assert run("announce", "-", stdin="{}").stderr == "Error: 502: Bad Gateway\n"


def test_status_shows_one_or_all(run: Any, service: Service) -> None:
    """Without an identity every member of the collection is shown, with one that one."""
    resource = shown("workload.redfish")
    odd = resource | {
        "Id": "workload-c14cddc033f64b9dea80ea675cf280a0",
        "WorkloadId": "a/b",
        "WorkloadState": "Rejected",
        "MaxPowerWatts": None,
    }
    service.answers["GET", WORKLOADS] = [
        (200, {"Members": [{"@odata.id": f"{WORKLOADS}/x"}, {"@odata.id": f"{WORKLOADS}/y"}]})
    ]
    service.answers["GET", f"{WORKLOADS}/x"] = [(200, resource)]
    service.answers["GET", f"{WORKLOADS}/y"] = [(200, odd)]
    service.answers["GET", f"{WORKLOADS}/a%2Fb"] = [(200, odd)]
    everything = run("status")
    assert everything.exit_code == 0, everything.output
    assert "llm-pretrain-7" in everything.output
    assert "a/b" in everything.output
    assert "c14cddc" not in everything.output
    one = run("status", "--json", "a/b")
    assert json.loads(one.output) == odd
    for command in ("status", "follow"):
        nameless = run(command, "")
        assert nameless.exit_code == 2
        assert "it is empty" in nameless.stderr


def test_status_fits_a_narrow_terminal(service: Service) -> None:
    """On 80 columns the times and the powers stand one above the other, and words stay whole."""
    decided = {
        "WorkloadId": "ai-training-job-1795329512",
        "ApprovalStatus": "approved_with_conditions",
    }
    resource = shown("workload.redfish") | decided
    console = Console(width=80, file=io.StringIO())
    console.print(_workload_table([resource], narrow=True))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "conditions" in text
    assert resource["StartTime"][:19] in text
    assert resource["WorkloadState"] in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("workload_id", "shown_as"),
    [
        ("", "''"),
        ("\x1b[31mred", "'\\x1b[31mred'"),
        ("[bold]plain", "[bold]plain"),
        ("y" * 100_000, "y…"),
    ],
)
def test_status_shows_any_identity(workload_id: str, shown_as: str) -> None:
    """An identity that a terminal cannot show is quoted, markup is none, a long one is cut."""
    resource = shown("workload.redfish") | {"WorkloadId": workload_id}
    console = Console(width=200, file=io.StringIO())
    console.print(_workload_table([resource], narrow=False))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert shown_as in text
    assert len(text) < 2500


def test_status_of_nothing_says_so(run: Any, service: Service) -> None:
    """An empty collection and an unknown identity are told clearly; the latter ends with 1."""
    service.answers["GET", WORKLOADS] = [(200, {"Members": []})]
    assert run("status").output == "no workload has been announced\n"
    missing = run("status", "nobody")
    assert missing.exit_code == 1
    assert "no workload 'nobody' was announced" in missing.stderr


def test_follow_prints_each_change_until_the_end(run: Any, service: Service) -> None:
    """One line per change and no more; the end of the workload ends the command with 0."""
    resource = shown("workload.redfish")
    states = ["Scheduled", "Scheduled", "Running", "Running", "Completed"]
    service.answers["GET", f"{WORKLOADS}/w"] = [
        (200, resource | {"WorkloadState": state}) for state in states
    ]
    result = run("follow", "w", "--interval", "0.1")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert [line.split()[1].rstrip(",") for line in lines] == ["Scheduled", "Running", "Completed"]
    service.answers["GET", f"{WORKLOADS}/w"] = [(200, resource | {"WorkloadState": "Rejected"})]
    rejected = run("follow", "w")
    assert rejected.exit_code == 1
    assert rejected.output.lower().count("rejected") == 1


def test_an_untrusted_certificate_is_refused_with_the_remedy(service: Service) -> None:
    """Without --ca or --insecure a lab certificate is not trusted; --insecure takes it."""
    service.answers["GET", WORKLOADS] = [(200, {"Members": []})]
    arguments = ["status", "--url", service.url, "--user", "u", "--password", "p"]
    strict = CliRunner().invoke(workload, arguments)
    assert strict.exit_code == 1
    assert "is not trusted" in strict.stderr
    assert "--insecure" in strict.stderr
    assert CliRunner().invoke(workload, [*arguments, "--insecure"]).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--url", "http://127.0.0.1"], "no https URL"),
        (["--url", "https://"], "no https URL"),
        (["--url", "https://127.0.0.1:port"], "no valid port"),
        (["--user", ""], "--user and --password"),
        (["--ca", __file__], "--ca"),
        (["--ca", __file__, "--insecure"], "exclude"),
    ],
)
def test_bad_usage_ends_with_2(arguments: list[str], text: str) -> None:
    """What cannot work is refused before anything is sent, with exit status 2."""
    credentials = ["--user", "u", "--password", "p"]
    result = CliRunner().invoke(workload, ["status", *credentials, *arguments])
    assert result.exit_code == 2
    assert text in result.stderr


def test_nobody_there_is_one_clear_line() -> None:
    """A closed port is told in one line; exit 1."""
    arguments = ["status", "--url", "https://127.0.0.1:1", "--user", "u", "--password", "p"]
    result = CliRunner().invoke(workload, arguments)
    assert result.exit_code == 1
    assert result.stderr == "Error: https://127.0.0.1:1 does not answer: Connection refused\n"
