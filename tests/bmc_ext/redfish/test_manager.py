"""The manager and its network over HTTP, against what the machine itself says."""

from __future__ import annotations

import ipaddress
import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from importlib import metadata
from typing import Any

import pytest
from served_front import Served, served

MANAGER = "/redfish/v1/Managers/DCPI"
INTERFACES = f"{MANAGER}/EthernetInterfaces"


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A front."""
    with served(tmp_path_factory.mktemp("state")) as it:
        yield it


def test_the_manager_is_this_program(front: Served) -> None:
    """Version and identity are those of the package and the state; each link is answered."""
    body = front.ask("GET", MANAGER).body
    assert body["FirmwareVersion"] == metadata.version("dcpi-bmc")
    assert body["UUID"] == front.ask("GET", "/redfish/v1").body["UUID"]
    for name in ("EthernetInterfaces", "NetworkProtocol", "LogServices"):
        assert front.ask("GET", body[name]["@odata.id"]).status == 200


def test_https_is_on_the_port_that_answers(front: Served) -> None:
    """The port in NetworkProtocol is the one of this very connection."""
    body = front.ask("GET", f"{MANAGER}/NetworkProtocol").body
    assert body["HTTPS"]["ProtocolEnabled"] is True
    assert body["HTTPS"]["Port"] == front.port
    assert body["HostName"] == socket.gethostname()


@pytest.mark.skipif(shutil.which("ip") is None, reason="iproute2 is the witness")
def test_interfaces_are_what_iproute2_says(front: Served) -> None:
    """Names, MAC, MTU, state and every address of each interface agree with `ip`."""
    told = subprocess.run(["ip", "-j", "address"], capture_output=True, text=True, check=True)
    witness = {entry["ifname"]: entry for entry in json.loads(told.stdout)}
    members = front.ask("GET", INTERFACES).body["Members"]
    shown = [front.ask("GET", link["@odata.id"]).body for link in members]
    assert "lo" in [body["Id"] for body in shown]
    for body in shown:
        entry = witness[body["Id"]]
        assert body["MACAddress"] == entry["address"]
        assert body["MTUSize"] == entry["mtu"]
        assert body["InterfaceEnabled"] == ("UP" in entry["flags"])
        assert (body["LinkStatus"] == "LinkUp") == ("LOWER_UP" in entry["flags"])
        assert _shown(body) == {
            f"{a['local']}/{a['prefixlen']}" for a in entry["addr_info"] if "local" in a
        }
    shown_names = {body["Id"] for body in shown}
    for name, entry in witness.items():
        if any(a.get("scope") in ("global", "host") for a in entry["addr_info"]):
            assert name in shown_names


def _shown(body: dict[str, Any]) -> set[str]:
    v4 = {
        str(ipaddress.ip_interface(f"{a['Address']}/{a['SubnetMask']}"))
        for a in body["IPv4Addresses"]
    }
    return v4 | {f"{a['Address']}/{a['PrefixLength']}" for a in body["IPv6Addresses"]}


def test_an_interface_that_is_not_there_is_not_found(front: Served) -> None:
    """404, also for a name that would leave the folder of interfaces."""
    for name in ("eth99", "..", "%2e%2e", "lo%2f..%2feth0"):
        assert front.ask("GET", f"{INTERFACES}/{name}").status == 404


def test_a_restart_needs_the_privilege_and_a_server(front: Served) -> None:
    """An operator is refused; where nothing serves that could be restarted, 503 says so."""
    reset = f"{MANAGER}/Actions/Manager.Reset"
    front.service.accounts.create("operator", "some-password", "Operator")
    who = {"user": "operator", "password": "some-password"}
    assert front.ask("POST", reset, {"ResetType": "ForceRestart"}, **who).status == 403
    assert front.ask("POST", reset, {"ResetType": "ForceRestart"}).status == 503
    assert front.ask("POST", reset, {"ResetType": "PushPowerButton"}).status == 400
    other = "/redfish/v1/Managers/Nobody/Actions/Manager.Reset"
    assert front.ask("POST", other, {}).status == 404
