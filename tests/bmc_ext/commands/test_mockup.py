"""`dcpi-bmc mockup` against a real HTTPS server that means it well, and one that does not."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from click.testing import CliRunner, Result

from bmc_ext.commands.client import Client, Target
from bmc_ext.commands.mockup import Capture, mockup
from bmc_ext.commands.mockup_stable import stable
from bmc_ext.security.lab_pki import ensure_lab_certificate

ROOT = "/redfish/v1/"


class Service(http.server.ThreadingHTTPServer):
    """Answers with what `tree` has for a request's target; an int is a status, bytes are raw."""

    daemon_threads = True

    def __init__(self, pki: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # as on many a BMC
        context.load_cert_chain(pki / "server.pem", pki / "server.key")
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.tree: dict[str, Any] = {
            "/redfish": {"v1": ROOT},
            "/redfish/v1/odata": {"value": []},
            "/redfish/v1/$metadata": b"<edmx:Edmx xmlns:edmx='urn:x'/>",
        }
        self.seen: list[str] = []


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Service

    def do_GET(self) -> None:
        self.server.seen.append(self.path)
        answer = self.server.tree.get(self.path, 404)
        if answer == "hangs up":
            self.close_connection = True
            return
        if answer == "endless":
            self._stream()
            return
        status = answer if isinstance(answer, int) else 200
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self) -> None:
        self.close_connection = True
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(b" " * (1 << 20))
        except OSError:
            return

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a lab authority and a server certificate."""
    folder = tmp_path_factory.mktemp("pki")
    ensure_lab_certificate(folder)
    return folder


@pytest.fixture
def service(pki: Path) -> Iterator[Service]:
    """A running server."""
    server = Service(pki)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def run(service: Service, pki: Path, tmp_path: Path) -> Any:
    """Run the command; the tree is in `tmp_path`/out/tree."""

    def run(*options: str, output: Path = tmp_path / "out" / "tree") -> Result:
        url = f"https://127.0.0.1:{service.server_port}"
        words = [url, "--output", str(output), "--ca", str(pki / "lab-ca.pem"), *options]
        return CliRunner().invoke(
            mockup, words, env={"DCPI_USER": "u", "DCPI_PASSWORD": "p"}, catch_exceptions=False
        )

    return run


def _link(uri: str) -> dict[str, str]:
    return {"@odata.id": uri}


def _files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_what_links_lead_to_is_captured_once(run: Any, service: Service, tmp_path: Path) -> None:
    """Links, files of registries, ActionInfo and CSDL are followed; circles end; all is a file."""
    service.tree |= {
        "/redfish/v1/$metadata": b"<e:Edmx xmlns:e='urn:x'><e:Reference Uri='/redfish/v1/x.xml'/>"
        b"<e:Reference Uri='http://127.0.0.1:9/y.xml'/></e:Edmx>",
        "/redfish/v1/x.xml": b"<e:Edmx xmlns:e='urn:x'/>",
        ROOT: {"@odata.id": ROOT, "A": _link("/redfish/v1/A"), "C": _link("/redfish/v1/C/")},
        "/redfish/v1/A": {
            "Again": [[_link("/redfish/v1")], _link("/redfish/v1/A#/Again/0")],
            "Location": [{"Uri": "/redfish/v1/r.json", "PublicationUri": "/elsewhere"}],
            "#A.B": {"target": "/redfish/v1/A/B", "@Redfish.ActionInfo": "/redfish/v1/A/Info"},
            "ServerSentEventUri": "/redfish/v1/sse",
        },
        "/redfish/v1/A/Info": {"Id": "Info"},
        "/redfish/v1/C/": {"Id": "Zürich °"},
        "/redfish/v1/r.json": {"properties": {"@odata.id": {"$ref": "x"}, "Uri": {}}},
    }
    done = run()
    assert (done.exit_code, done.output) == (0, f"9 resources in {tmp_path}/out/tree\n")
    assert sorted(service.seen) == sorted(service.tree)
    tree = tmp_path / "out" / "tree"
    assert _files(tree) == {
        f"{uri.strip('/')}/index.{'xml' if isinstance(body, bytes) else 'json'}"
        for uri, body in service.tree.items()
    }
    text = (tree / "redfish/v1/C/index.json").read_text(encoding="ascii")
    assert json.loads(text) == {"Id": "Zürich °"}


def test_all_pages_of_a_collection_become_one_file(
    run: Any, service: Service, tmp_path: Path
) -> None:
    """Members of further pages join those of the first, and are captured."""
    second, third = f"{ROOT}L?$skip=1", f"{ROOT}L?$skip=2"
    service.tree |= {
        ROOT: _link(f"{ROOT}L"),
        f"{ROOT}L": {"Members": [_link(f"{ROOT}L/1")], "Members@odata.nextLink": second},
        second: {"Members": [_link(f"{ROOT}L/2")], "Members@odata.nextLink": third},
        third: {"Members": [_link(f"{ROOT}L/3")]},
        **{f"{ROOT}L/{number}": {"Id": str(number)} for number in (1, 2, 3)},
    }
    assert run().exit_code == 0
    found = json.loads((tmp_path / "out/tree/redfish/v1/L/index.json").read_text())
    assert found == {"Members": [_link(f"{ROOT}L/{number}") for number in (1, 2, 3)]}
    assert (tmp_path / "out/tree/redfish/v1/L/3/index.json").is_file()


def test_odd_names_stay_percent_encoded_below_the_folder(
    run: Any, service: Service, tmp_path: Path
) -> None:
    """A file's name is that of the request, so that a file server finds it without decoding."""
    odd = ["a%20b", "%2e%2e", "..%2F..%2Fx", "%C3%BC", "a:b'c", "%00"]
    said = [*odd[:1], *odd[1:3], "ü", "a:b'c", "\0"]
    service.tree |= {f"{ROOT}{name}": {"Id": unquote(name)} for name in odd}
    service.tree[ROOT] = {"Members": [_link(f"{ROOT}{name}") for name in said]}
    done = run()
    assert done.exit_code == 0, done.output
    for name in odd:
        body = json.loads((tmp_path / f"out/tree/redfish/v1/{name}/index.json").read_text())
        assert body == {"Id": unquote(name)}
    assert {path.name for path in tmp_path.iterdir()} == {"out"}


@pytest.mark.parametrize(
    "uri",
    [
        "/redfish/v1/../../../evil",
        "/../evil",
        "//127.0.0.1:9/evil",
        "/redfish/v1/./evil",
        "/",
        "/redfish/v1/index.json/evil",
        "/redfish/v1/" + "evil" * 100,
    ],
)
def test_a_path_out_of_the_folder_is_named_and_not_taken(
    run: Any, service: Service, tmp_path: Path, uri: str
) -> None:
    """A hostile service writes nowhere else, and what it has beside is captured all the same."""
    service.tree |= {
        uri: {"Id": "evil"},
        ROOT: {"A": _link(uri), "B": _link(f"{ROOT}good")},
        f"{ROOT}good": {"Id": "good"},
    }
    done = run()
    assert done.exit_code == 1
    (line,) = (line for line in done.output.splitlines() if line.startswith("dcpi-bmc"))
    assert line.startswith(f"dcpi-bmc: {uri}: ")
    assert {path.name for path in tmp_path.iterdir()} == {"out"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"tree"}
    assert (tmp_path / "out/tree/redfish/v1/good/index.json").is_file()
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (404, "404: Not Found"),
        (b"[" * 100_000, "200: OK"),
        (b"[1]", "200: OK"),
        (b"", "200: OK"),
        (b"<html><br></html>", "neither JSON nor XML"),
        ("endless", "an answer of more than 32 MiB"),
        ({"Members": [], "Members@odata.nextLink": f"{ROOT}bad"}, "leads nowhere"),
        ({"Members": [], "Members@odata.nextLink": "http://x/"}, "leads nowhere"),
        ({"Members": 1, "Members@odata.nextLink": f"{ROOT}bad?2"}, "leads nowhere"),
        ({"Members": [], "Members@odata.nextLink": f"{ROOT}bad?2"}, "404: Not Found"),
    ],
)
def test_a_bad_answer_is_named_and_ends_with_1(
    run: Any, service: Service, tmp_path: Path, answer: Any, said: str
) -> None:
    """One line for each resource that could not be captured; the others are there."""
    service.tree |= {
        ROOT: {"A": _link(f"{ROOT}bad"), "B": _link(f"{ROOT}good")},
        f"{ROOT}bad": answer,
        f"{ROOT}good": {"Id": "\x1b[2J"},
    }
    done = run()
    assert done.exit_code == 1
    (line,) = (line for line in done.output.splitlines() if line.startswith("dcpi-bmc"))
    assert line.startswith(f"dcpi-bmc: {ROOT}bad: ")
    assert said in line
    assert f"5 resources in {tmp_path}/out/tree" in done.output


def test_a_service_that_names_new_resources_for_ever_is_left(
    service: Service, pki: Path, tmp_path: Path
) -> None:
    """A capture has an end, and says that it is not the whole."""
    for number in range(100):
        uri = f"{ROOT}{number or ''}"
        service.tree[uri] = {"Members": [_link(f"{ROOT}{number + 1}"), _link(f"{ROOT}x")]}
    url = f"https://127.0.0.1:{service.server_port}"
    target = Target(url, "u", "p", pki / "lab-ca.pem", oldest_tls=ssl.TLSVersion.TLSv1_2)
    with Client(target) as client:
        capture = Capture(client, tmp_path, limit=20)
        capture.run(lambda done, known: None)  # noqa: ARG005
    assert len(service.seen) == 20
    assert "there are more than 20 resources: the rest is left out" in capture.failures


def test_a_wrong_password_is_tried_once(run: Any, service: Service, tmp_path: Path) -> None:
    """A service that locks accounts is not provoked: the first 401 ends it."""
    service.tree |= {ROOT: {"M": [_link(f"{ROOT}{n}") for n in range(9)]}}
    service.tree |= {f"{ROOT}{n}": 401 for n in range(9)}
    service.tree |= dict.fromkeys(("/redfish", f"{ROOT}odata", f"{ROOT}$metadata"), 401)
    done = run()
    assert done.exit_code == 1
    assert "401" in done.output
    assert len([uri for uri in service.seen if uri != ROOT]) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_capture_that_is_broken_off_leaves_nothing(
    run: Any, service: Service, tmp_path: Path
) -> None:
    """A service that is gone for good: neither files nor folders, but for one that was there."""
    service.tree |= {ROOT: {"M": [_link(f"{ROOT}{n}") for n in range(9)]}}
    service.tree |= {f"{ROOT}{n}": "hangs up" for n in range(9)}
    done = run()
    assert done.exit_code == 1
    assert "does not answer" in done.output
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine").mkdir()
    assert run(output=tmp_path / "mine").exit_code == 1
    assert [*tmp_path.rglob("*")] == [tmp_path / "mine"]


@pytest.mark.parametrize("answer", [404, b"[]", b"<!DOCTYPE html><p>log in & see"])
def test_what_is_no_redfish_service_leaves_nothing(
    run: Any, service: Service, tmp_path: Path, answer: Any
) -> None:
    """A server of something else is told in one line."""
    service.tree = dict.fromkeys((ROOT, "/redfish", f"{ROOT}odata", f"{ROOT}$metadata"), answer)
    done = run()
    url = f"https://127.0.0.1:{service.server_port}"
    assert (done.exit_code, done.output) == (1, f"Error: {url} serves nothing of Redfish\n")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told_before_anything_is_asked(
    run: Any, service: Service, tmp_path: Path
) -> None:
    """Below a file there is no folder: the error names it."""
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(NotADirectoryError, match="mine/tree"):
        run(output=tmp_path / "mine" / "tree")
    assert service.seen == []
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_folder_that_holds_something_is_refused(
    run: Any, service: Service, tmp_path: Path
) -> None:
    """Nothing is asked, and nothing in it is touched."""
    (tmp_path / "mine").write_text("mine")
    assert run(output=tmp_path).exit_code == 2
    assert run(output=tmp_path / "mine").exit_code == 2
    assert service.seen == []


def test_stable_values_say_what_they_were() -> None:
    """Readings keep their size, ratings and links their value, null stays unknown."""
    found = stable(
        {
            "@odata.id": "/redfish/v1/Sensors/1.5",
            "Reading": 62.47e6 + 0.5,
            "Thresholds": {"UpperCritical": {"Reading": 62.5e6}},
            "ReadingTime": "2026-03-01T10:20:30.123Z",
            "DateTime": "2026-03-01T10:20:30+01:00",
            "ReadingAccuracy": None,
            "MACAddress": "02:fc:00:00:00:01",
            "IPv6Addresses": [{"Address": "fd00::2"}, {"Address": None}],
            "SerialNumber": None,
            "MetricValue": "-12.345",
            "RedfishVersion": "1.17.0",
            "properties": {"SerialNumber": {"type": "string"}},
            "Enabled": True,
        }
    )
    assert found == {
        "@odata.id": "/redfish/v1/Sensors/1.5",
        "Reading": 6e7,
        "Thresholds": {"UpperCritical": {"Reading": 62.5e6}},
        "ReadingTime": "2000-01-01T00:00:00Z",
        "DateTime": "2000-01-01T00:00:00Z",
        "ReadingAccuracy": None,
        "MACAddress": "00:00:5E:00:53:01",
        "IPv6Addresses": [{"Address": "2001:db8::1"}, {"Address": None}],
        "SerialNumber": None,
        "MetricValue": "-10.0",
        "RedfishVersion": "1.17.0",
        "properties": {"SerialNumber": {"type": "string"}},
        "Enabled": True,
    }


def test_the_stable_form_of_a_log_has_one_entry(run: Any, service: Service, tmp_path: Path) -> None:
    """How much has been logged differs from day to day: the last entry stands for all."""
    log = {"@odata.type": "#LogEntryCollection.LogEntryCollection", "Members@odata.count": 2}
    service.tree |= {
        ROOT: _link(f"{ROOT}log"),
        f"{ROOT}log": {**log, "Members": [_link(f"{ROOT}log/2"), _link(f"{ROOT}log/1")]},
        f"{ROOT}log/1": {"Id": "1"},
    }
    assert run("--stable").exit_code == 0
    found = json.loads((tmp_path / "out/tree/redfish/v1/log/index.json").read_text())
    assert (found["Members"], found["Members@odata.count"]) == ([_link(f"{ROOT}log/1")], 1)
