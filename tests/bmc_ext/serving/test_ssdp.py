"""Searches for a Redfish service by multicast on the loopback interface, and their answers."""

from __future__ import annotations

import http.client
import io
import json
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.emulator_client import COMMAND, Running, running

REDFISH = "urn:dmtf-org:service:redfish-rest:1"
PROTOCOLS = "/redfish/v1/Managers/DCPI/NetworkProtocol"
GROUP, PORT = "239.255.255.250", 1900


def _search(text: str, within_s: float) -> http.client.HTTPResponse | None:
    """The first answer to a datagram, read by the standard library's HTTP parser."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        index = socket.if_nametoindex("lo")
        interface = struct.pack("=4s4si", bytes(4), bytes(4), index)
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, interface)
        sender.settimeout(within_s)
        sender.sendto(text.encode(), (GROUP, PORT))
        try:
            data = sender.recv(2048)
        except TimeoutError:
            return None
    answer = http.client.HTTPResponse(_Held(data))  # type: ignore[arg-type]
    answer.begin()
    return answer


class _Held:
    """Bytes that look like a socket to http.client."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> io.BytesIO:
        """The bytes as a file."""
        del mode
        return io.BytesIO(self._data)


def _message(target: str, man: str = '"ssdp:discover"', method: str = "M-SEARCH") -> str:
    lines = [f"{method} * HTTP/1.1", f"Host: {GROUP}:{PORT}", f"MAN: {man}", f"ST: {target}"]
    return "\r\n".join([*lines, "MX: 1", "", ""])


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service that is found on the loopback interface."""
    folder = tmp_path_factory.mktemp("ssdp")
    config = folder / "service.yaml"
    config.write_text(
        "facility: {id: bench, rated_power_w: 1.0e+6}\nstate_dir: state\n"
        "listen: {discovery: [lo]}\n"
    )
    subprocess.run(
        [COMMAND, "serve", "--config", config, "--set-password", "admin"],
        input="bench-secret\nbench-secret\n", text=True, check=True, capture_output=True,
    )  # fmt: skip
    with running("serve", "--config", config, "--port", 0) as it:
        it.user, it.password = "admin", "bench-secret"
        yield it


@pytest.mark.parametrize("target", [REDFISH, "ssdp:all"])
def test_a_search_is_answered_with_the_service_root(service: Running, target: str) -> None:
    """The answer bears the identity of the root and the URI at which it is read."""
    answer = _search(_message(target), 10)
    assert answer is not None
    assert answer.status == 200
    assert answer.headers["ST"] == REDFISH
    root = service.get("/redfish/v1/")
    assert answer.headers["USN"] == f"uuid:{root['UUID']}::{REDFISH}"
    assert answer.headers["AL"] == f"https://127.0.0.1:{service.port}/redfish/v1/"
    assert answer.headers["CACHE-CONTROL"] == "max-age=1800"


@pytest.mark.parametrize(
    "text",
    [
        _message("upnp:rootdevice"),
        _message(REDFISH, man='"ssdp:other"'),
        _message(REDFISH, method="NOTIFY"),
        "",
        "\0" * 900,
        "M-SEARCH",
    ],
)
def test_what_is_no_search_for_us_gets_no_answer(service: Running, text: str) -> None:
    """Other targets, messages and rubbish are passed over, and the next search is answered."""
    assert _search(text, 0.3) is None
    assert _search(_message(REDFISH), 10) is not None
    assert service.process.poll() is None


def test_it_can_be_switched_off(service: Running) -> None:
    """PATCH SSDP.ProtocolEnabled false ends the answers, true brings them back."""
    off = {"SSDP": {"ProtocolEnabled": False}}
    assert service.ask("PATCH", PROTOCOLS, off).body["SSDP"]["ProtocolEnabled"] is False
    root = service.get("/redfish/v1")
    answer = _search(_message(REDFISH), 0.7)
    # Another service on this machine may answer; this one does not.
    assert answer is None or root["UUID"] not in str(answer.headers["USN"])
    on = {"SSDP": {"ProtocolEnabled": True}}
    assert service.ask("PATCH", PROTOCOLS, on).status == 200
    assert _search(_message(REDFISH), 10) is not None
    for wrong in ({"SSDP": {"ProtocolEnabled": 1}}, {"SSDP": {"Port": 1}}, {"SSDP": 1}, {}):
        assert service.ask("PATCH", PROTOCOLS, wrong).status == 400


def test_an_interface_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    """Exit status 2 with the interface's name."""
    config = tmp_path / "service.yaml"
    document = {
        "facility": {"id": "bench", "rated_power_w": 1e6},
        "state_dir": "state",
        "listen": {"discovery": ["eth99"]},
    }
    config.write_text(json.dumps(document))
    ended = subprocess.run(
        [COMMAND, "serve", "--config", config, "--port", "0"], capture_output=True, text=True
    )
    assert ended.returncode == 2
    assert "eth99" in ended.stderr
    assert "None" not in ended.stderr


def _notices(listener: socket.socket, within_s: float, *, until: str) -> list[dict[str, str]]:
    """The headers of the notices that come, up to the first with that NTS."""
    found: list[dict[str, str]] = []
    end_s = time.monotonic() + within_s
    while (left_s := end_s - time.monotonic()) > 0:
        listener.settimeout(left_s)
        try:
            start, _, rest = listener.recv(2048).partition(b"\r\n")
        except TimeoutError:
            break
        if start == b"NOTIFY * HTTP/1.1":
            found.append(dict(http.client.parse_headers(io.BytesIO(rest)).items()))
            if found[-1]["NTS"] == until:
                break
    return found


def test_it_says_when_it_comes_and_when_it_goes(service: Running) -> None:
    """A listener on the interface hears of the end and of the beginning, with the root's URI."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((GROUP, PORT))
        index = socket.if_nametoindex("lo")
        member = struct.pack("=4s4si", socket.inet_aton(GROUP), bytes(4), index)
        listener.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        for enabled, what in ((False, "ssdp:byebye"), (True, "ssdp:alive")):
            wanted = {"SSDP": {"ProtocolEnabled": enabled}}
            assert service.ask("PATCH", PROTOCOLS, wanted).status == 200
            notice = _notices(listener, 20, until=what)[-1]
            assert (notice["NTS"], notice["NT"]) == (what, REDFISH)
            assert notice["USN"] == f"uuid:{service.get('/redfish/v1')['UUID']}::{REDFISH}"
    assert notice["AL"] == f"https://127.0.0.1:{service.port}/redfish/v1/"
