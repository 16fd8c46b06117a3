"""Searches for a Redfish service over IPv6, from the far end of a pair of interfaces."""

from __future__ import annotations

import http.client
import io
import socket
import struct
import subprocess
import time
from pathlib import Path

import pytest
from e2e.emulator_client import wait_for
from veth import Wire

from bmc_ext.clock import SystemClock
from bmc_ext.errors import ConfigurationError
from bmc_ext.lifecycle import Lifecycle
from bmc_ext.network_interfaces import interface_addresses
from bmc_ext.serving.ssdp import SsdpResponder

REDFISH = "urn:dmtf-org:service:redfish-rest:1"
GROUP, PORT = "ff02::c", 1900
UUID = "6b5a1f4e-3f0e-4f62-9a3a-0d6a3a0f9b11"
_SEARCH = (
    f'M-SEARCH * HTTP/1.1\r\nHost: [{GROUP}]:{PORT}\r\nMAN: "ssdp:discover"\r\n'
    f"ST: {REDFISH}\r\nMX: 1\r\n\r\n"
)


@pytest.fixture
def ends(wire: Wire) -> Wire:
    """Both ends with an IPv6 address of the link that may be used."""

    def ready(name: str) -> bool:
        found = interface_addresses().get(name, ())
        return any(one.interface.version == 6 and one.state == "Preferred" for one in found)

    try:
        wait_for(lambda: ready(wire.near) and ready(wire.far), 15, "addresses of the link")
    except AssertionError:
        pytest.skip("this machine gives its interfaces no IPv6 addresses")
    return wire


def _responder(interfaces: list[str], host: str, state: Path) -> SsdpResponder:
    lifecycle = Lifecycle(SystemClock())
    lifecycle.port = 8443
    state.mkdir(exist_ok=True)
    return SsdpResponder(interfaces, host, UUID, lifecycle, state)


def _asked(interface: str, within_s: float = 10.0) -> http.client.HTTPMessage | None:
    """The headers of the first answer to a search that leaves by an interface."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
        index = socket.if_nametoindex(interface)
        sender.settimeout(within_s)
        sender.sendto(_SEARCH.encode(), (GROUP, PORT, 0, index))
        try:
            start, _, rest = sender.recv(2048).partition(b"\r\n")
        except TimeoutError:
            return None
    assert start == b"HTTP/1.1 200 OK"
    return http.client.parse_headers(io.BytesIO(rest))


def _link_local(interface: str) -> str:
    addresses = [one.interface.ip for one in interface_addresses()[interface]]
    return next(str(ip) for ip in addresses if ip.version == 6 and ip.is_link_local)


@pytest.mark.parametrize("host", ["2001:db8::1", "::"])
def test_a_search_over_ipv6_is_answered(ends: Wire, tmp_path: Path, host: str) -> None:
    """With the service's address in brackets; with a wildcard, with that of the interface."""
    responder = _responder([ends.near], host, tmp_path)
    responder.start()
    try:
        headers = _asked(ends.far)
        assert headers is not None
        where = host if host != "::" else _link_local(ends.near)
        assert headers["AL"] == f"https://[{where}]:8443/redfish/v1/"
        assert (headers["ST"], headers["USN"]) == (REDFISH, f"uuid:{UUID}::{REDFISH}")
        responder.enabled = False
        assert _asked(ends.far, 1.0) is None
    finally:
        responder.stop()


def test_an_address_that_reaches_further_is_told_before_one_of_the_link(
    ends: Wire, tmp_path: Path
) -> None:
    """Whoever searched may be a router away when it asks."""
    address = "fd5a:1:2::3"
    command = ["ip", "address", "add", f"{address}/64", "dev", ends.near, "nodad"]
    subprocess.run(command, check=True)
    responder = _responder([ends.near], "::", tmp_path)
    responder.start()
    try:
        headers = _asked(ends.far)
        assert headers is not None
        assert headers["AL"] == f"https://[{address}]:8443/redfish/v1/"
    finally:
        responder.stop()
        command[2] = "del"
        subprocess.run(command[:-1], check=True)


def test_it_says_over_ipv6_when_it_comes_and_when_it_goes(ends: Wire, tmp_path: Path) -> None:
    """A listener at the far end hears of both, and of the group that it listens to."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as listener:
        index = socket.if_nametoindex(ends.far)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((GROUP, PORT, 0, index))
        member = struct.pack("=16si", socket.inet_pton(socket.AF_INET6, GROUP), index)
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
        responder = _responder([ends.near], "2001:db8::1", tmp_path)
        responder.start()
        alive = _notice(listener)
        responder.stop()
        gone = _notice(listener)
    assert (alive["NTS"], gone["NTS"]) == ("ssdp:alive", "ssdp:byebye")
    assert alive["HOST"] == gone["HOST"] == f"[{GROUP}]:{PORT}"
    assert alive["AL"] == "https://[2001:db8::1]:8443/redfish/v1/"


def _notice(listener: socket.socket) -> http.client.HTTPMessage:
    end_s = time.monotonic() + 15
    while True:
        listener.settimeout(max(0.01, end_s - time.monotonic()))
        start, _, rest = listener.recv(2048).partition(b"\r\n")
        if start == b"NOTIFY * HTTP/1.1":
            return http.client.parse_headers(io.BytesIO(rest))


def test_an_interface_that_is_not_there_is_an_error(ends: Wire, tmp_path: Path) -> None:
    """Also beside one that is."""
    with pytest.raises(ConfigurationError, match=r"discovery on .*eth99: "):
        _responder([ends.near, "eth99"], "::1", tmp_path)


def test_an_address_that_comes_late_is_told(ends: Wire, tmp_path: Path) -> None:
    """An interface without one does not end discovery, and is answered on once it has one."""
    switch = Path(f"/proc/sys/net/ipv6/conf/{ends.near}/disable_ipv6")
    switch.write_text("1", encoding="ascii")
    responder = _responder([ends.near], "::", tmp_path)
    responder.start()
    try:
        assert _asked(ends.far, 0.5) is None
        switch.write_text("0", encoding="ascii")
        headers = wait_for(lambda: _asked(ends.far, 0.5), 20, "an answer")
        assert headers["AL"] == f"https://[{_link_local(ends.near)}]:8443/redfish/v1/"
    finally:
        switch.write_text("0", encoding="ascii")
        responder.stop()
