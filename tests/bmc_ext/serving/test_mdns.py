"""The service announced by multicast DNS on the loopback interface, as another library reads it."""

from __future__ import annotations

import ipaddress
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dnslib
import pytest
from e2e.emulator_client import COMMAND, Running, running, wait_for

GROUP, PORT = "224.0.0.251", 5353  # RFC 6762 3
TYPE = "_redfish._tcp.local."
_CONFIG = "facility: {id: bench, rated_power_w: 1.0e+6}\nstate_dir: state\nlisten: {mdns: [lo]}\n"


def _service(folder: Path) -> list[object]:
    """The arguments of a service that is announced on the loopback interface."""
    config = folder / "service.yaml"
    config.write_text(_CONFIG)
    subprocess.run(
        [COMMAND, "serve", "--config", config, "--set-password", "admin"],
        input="bench-secret\n", text=True, check=True, capture_output=True,
    )  # fmt: skip
    return ["serve", "--config", config, "--port", 0]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One that runs."""
    with running(*_service(tmp_path_factory.mktemp("mdns"))) as it:
        it.user, it.password = "admin", "bench-secret"
        yield it


def _asked(name: str, kind: str, within_s: float = 0.5) -> list[dnslib.DNSRecord]:
    """What comes back for a question from a port of our own (RFC 6762 6.7)."""
    answers = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        index = socket.if_nametoindex("lo")
        interface = struct.pack("=4s4si", bytes(4), bytes(4), index)
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, interface)
        sender.sendto(dnslib.DNSRecord.question(name, kind).pack(), (GROUP, PORT))
        end_s = time.monotonic() + within_s
        while (left_s := end_s - time.monotonic()) > 0:
            sender.settimeout(left_s)
            try:
                answers.append(dnslib.DNSRecord.parse(sender.recv(9000)))
            except TimeoutError:
                break
    return answers


def _records(name: str, kind: str) -> list[str]:
    """The records of that name and kind, as text."""
    return [
        str(record.rdata)
        for answer in _asked(name, kind)
        for record in [*answer.rr, *answer.ar]
        if record.rtype == getattr(dnslib.QTYPE, kind) and str(record.rname) == name
    ]


def _instance(uuid: str) -> str | None:
    """The name under which the service with that identity is announced."""
    found = {name for name in _records(TYPE, "PTR") if f"{uuid[:8]}." in name}
    return found.pop() if found else None


def test_the_service_is_found_where_it_listens(service: Running) -> None:
    """From the type to an instance, its port, its address, and the path of the root."""
    uuid = service.ask("GET", "/redfish/v1", auth=False).body["UUID"]
    instance = wait_for(lambda: _instance(uuid), 30, "the announcement")
    (srv,) = set(_records(instance, "SRV"))
    _, _, port, host = srv.split()
    assert int(port) == service.port
    addresses = {ipaddress.ip_address(text) for text in _records(host, "A")}
    assert addresses == {ipaddress.ip_address("127.0.0.1")}
    (text,) = set(_records(instance, "TXT"))
    assert set(text.replace('"', "").split(",")) == {
        "txtvers=1",
        "path=/redfish/v1/",
        f"uuid={uuid}",
    }


def test_a_service_that_ends_takes_its_name_back(tmp_path: Path) -> None:
    """Who asks afterwards gets no answer."""
    with running(*_service(tmp_path)) as it:
        uuid = it.ask("GET", "/redfish/v1", auth=False).body["UUID"]
        wait_for(lambda: _instance(uuid), 30, "the announcement")
    assert _instance(uuid) is None


def test_without_the_library_it_says_what_to_install(tmp_path: Path) -> None:
    """One line and status 2."""
    arguments = _service(tmp_path)
    (tmp_path / "zeroconf.py").write_text("raise ImportError")
    done = subprocess.run(
        [sys.executable, "-c", "from bmc_ext.cli import main; main()", *map(str, arguments)],
        env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "dcpi-bmc[mdns]" in done.stderr
    assert "Traceback" not in done.stderr
