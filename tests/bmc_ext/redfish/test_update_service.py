"""Updates over HTTP: an image becomes a task, and the task a version; without firmware, nothing."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from event_listener import event_listener
from served_front import Answer, Served, served, wait_for

from bmc_ext.clock import SystemClock
from emulator.host import SushyHost

SERVICE = "/redfish/v1/UpdateService"
PUSH = f"{SERVICE}/update-multipart"
SIMPLE = f"{SERVICE}/Actions/UpdateService.SimpleUpdate"
BMC = f"{SERVICE}/FirmwareInventory/BMC"


def image(version: str, payload: bytes = b"new code", digest_of: bytes | None = None) -> bytes:
    """An image of the emulated BMC; with `digest_of`, one that is damaged."""
    digest = hashlib.sha256(payload if digest_of is None else digest_of).hexdigest()
    head = f"DCPI-EMULATOR-IMAGE\nVersion: {version}\nSHA256: {digest}\n\n"
    return head.encode() + payload


def multipart(**parts: bytes) -> tuple[bytes, dict[str, str]]:
    """Body and header of a push."""
    lines = [
        b'--xyz\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
        % (name.encode(), b'; filename="f"' if name == "UpdateFile" else b"", content)
        for name, content in parts.items()
    ]
    return b"".join(lines) + b"--xyz--\r\n", {"Content-Type": "multipart/form-data; boundary=xyz"}


class Steps(SystemClock):
    """A clock on which waiting ends at once, or when the test says so."""

    def __init__(self) -> None:
        self.held = False
        self.go = threading.Semaphore(0)

    def sleep(self, seconds: float) -> None:
        """Wait for the test instead."""
        del seconds
        assert not self.held or self.go.acquire(timeout=30)


@pytest.fixture
def steps() -> Steps:
    """The clock of the emulated BMC."""
    return Steps()


@pytest.fixture
def front(tmp_path: Path, steps: Steps) -> Iterator[Served]:
    """A front of an emulated BMC that takes images."""
    host = SushyHost(tmp_path / "host", clock=steps)
    with contextlib.closing(host), served(tmp_path / "state", firmware=host) as it:
        yield it


def _push(front: Served, parameters: bytes, file: bytes) -> Answer:
    body, headers = multipart(UpdateParameters=parameters, UpdateFile=file)
    return front.ask("POST", PUSH, body, headers=headers)


def _outcome(front: Served, accepted: Answer) -> Answer:
    """What the monitor says in the end."""
    assert accepted.status == 202
    deadline = time.monotonic() + 30
    while (answer := front.ask("GET", accepted.headers["location"])).status == 202:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return answer


def test_a_pushed_image_runs_through_a_task_to_a_new_version(front: Served, steps: Steps) -> None:
    """The task proceeds, the monitor says when it is over, and the inventory shows the version."""
    assert front.ask("GET", BMC).body["Version"] == "1.00"
    steps.held = True
    accepted = _push(front, b'{"Targets": ["%s"]}' % BMC.encode(), image("2.1.0"))
    task = accepted.body["@odata.id"]
    for percent in (60, 70, 80, 90):
        wait_for(lambda p=percent: _percent(front, task) == p, 10, f"{percent} percent")
        assert front.ask("GET", accepted.headers["location"]).status == 202
        steps.go.release()
    answer = _outcome(front, accepted)
    assert (answer.status, answer.body["TaskState"]) == (200, "Completed")
    assert "2.1.0" in answer.body["Messages"][0]["Message"]
    assert front.ask("GET", BMC).body["Version"] == "2.1.0"
    assert {"@odata.id": task} in front.ask("GET", "/redfish/v1/TaskService/Tasks").body["Members"]
    assert front.audit("update.done")[0]["outcome"]


def test_an_update_is_told_as_it_goes(front: Served, tmp_path: Path) -> None:
    """Its begin and its end are messages of DMTF's registry Update; a damaged image fails."""
    with event_listener(tmp_path / "listener") as listener:
        wanted = {
            "Destination": listener.url,
            "Protocol": "Redfish",
            "RegistryPrefixes": ["Update"],
        }
        made = front.ask("POST", "/redfish/v1/EventService/Subscriptions", wanted)
        assert made.status == 201
        _outcome(front, _push(front, b"{}", image("2.1.0")))
        assert listener.wait_for("InstallingOnComponent")["MessageArgs"][1] == "Emulated BMC"
        done = listener.wait_for("UpdateSuccessful")
        expected = "Device 'Emulated BMC' successfully updated with image 'UpdateFile'."
        assert done["Message"] == expected
        _outcome(front, _push(front, b"{}", image("2.2.0", digest_of=b"other")))
        assert listener.wait_for("ApplyFailed")["MessageSeverity"] == "Critical"


def _percent(front: Served, task: str) -> int:
    body = front.ask("GET", task).body
    assert body["TaskState"] in ("New", "Running")
    percent: int = body["PercentComplete"]
    return percent


@pytest.mark.parametrize(
    ("file", "reason"),
    [(b"not an image", "head is another"), (image("3.0", digest_of=b"other"), "damaged")],
)
def test_a_bad_image_ends_in_an_exception_and_changes_nothing(
    front: Served, file: bytes, reason: str
) -> None:
    """The task says what is wrong with it, and its monitor answers with that error."""
    accepted = _push(front, b"{}", file)
    answer = _outcome(front, accepted)
    assert (answer.status, answer.body["error"]["code"]) == (400, "Base.1.19.GeneralError")
    assert reason in answer.body["error"]["message"]
    task = front.ask("GET", accepted.body["@odata.id"]).body
    assert task["TaskState"] == "Exception"
    assert reason in task["Messages"][0]["Message"]
    assert front.ask("GET", BMC).body["Version"] == "1.00"
    assert front.audit("update.failed")


def test_simple_update_fetches_the_image(front: Served) -> None:
    """The image is taken from the URI; one that is not there ends in an exception."""

    class Images(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/good" else 404)
            self.end_headers()
            self.wfile.write(image("4.5.6"))

        def log_message(self, *args: Any) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Images) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        host = f"127.0.0.1:{server.server_port}"
        try:
            bad = front.ask("POST", SIMPLE, {"ImageURI": f"http://{host}/bad"})
            assert "404" in _outcome(front, bad).body["error"]["message"]
            body = {"ImageURI": f"{host}/good", "TransferProtocol": "HTTP"}
            assert _outcome(front, front.ask("POST", SIMPLE, body)).status == 200
        finally:
            server.shutdown()
            thread.join()
    assert front.ask("GET", BMC).body["Version"] == "4.5.6"


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ({}, "ActionParameterMissing"),
        ({"ImageURI": "file:///etc/passwd"}, "ActionParameterValueFormatError"),
        ({"ImageURI": "http://u:p@host/x"}, "ActionParameterValueFormatError"),
        (
            {"ImageURI": "http://host/x", "TransferProtocol": "TFTP"},
            "ActionParameterValueNotInList",
        ),
        ({"ImageURI": "http://host/x", "Targets": ["/x"]}, "ActionParameterValueNotInList"),
    ],
)
def test_a_fetch_that_cannot_be_begins_no_task(
    front: Served, body: dict[str, Any], key: str
) -> None:
    """400 names the parameter, and no task is there."""
    answer = front.ask("POST", SIMPLE, body)
    assert answer.status == 400
    assert answer.body["error"]["code"].endswith(key)
    assert front.ask("GET", "/redfish/v1/TaskService/Tasks").body["Members"] == []


def test_a_push_without_its_parts_is_refused(front: Served) -> None:
    """Each part, its JSON and the media type are asked for."""
    body, headers = multipart(UpdateFile=image("2.0"))
    assert front.ask("POST", PUSH, body, headers=headers).status == 400
    body, headers = multipart(UpdateParameters=b"{}")
    assert front.ask("POST", PUSH, body, headers=headers).status == 400
    assert _push(front, b"{", image("2.0")).status == 400
    assert front.ask("POST", PUSH, {"UpdateFile": "x"}).status == 415
    other = {"Content-Type": "multipart/form-data"}
    assert front.ask("POST", PUSH, b"x", headers=other).status == 400


def test_a_service_without_firmware_offers_no_update(tmp_path: Path) -> None:
    """The inventory shows the service itself; there is no action, and a push finds nothing."""
    with served(tmp_path) as front:
        body = front.ask("GET", SERVICE).body
        assert body["ServiceEnabled"] is False
        assert not {"Actions", "MultipartHttpPushUri"} & body.keys()
        own = front.ask("GET", f"{SERVICE}/FirmwareInventory/DCPI").body
        assert own["Updateable"] is False
        assert own["Version"]
        assert _push(front, b"{}", image("2.0")).status == 404
        assert front.ask("POST", SIMPLE, {"ImageURI": "http://h/x"}).status == 404


def test_tasks_are_done_one_after_another(front: Served) -> None:
    """A second image waits for the first, and the later one stays."""
    first = _push(front, b"{}", image("5.0"))
    second = _push(front, b"{}", image("6.0"))
    assert first.headers["location"] != second.headers["location"]
    _outcome(front, second)
    wait_for(lambda: front.ask("GET", BMC).body["Version"] == "6.0", 5, "the later version")
