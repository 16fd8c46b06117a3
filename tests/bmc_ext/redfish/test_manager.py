"""The manager and its network over HTTP, against what the machine itself says."""

from __future__ import annotations

import ipaddress
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from served_front import Served, served

from bmc_ext.host_name import OwnName

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


def test_the_service_can_be_named(tmp_path: Path) -> None:
    """The name is the manager's and, before any login, the root's; it outlives the process."""
    name = {"ServiceIdentification": "hall 3, row B"}
    with served(tmp_path) as front:
        assert front.ask("GET", MANAGER).body["ServiceIdentification"] == ""
        assert "ServiceIdentification" not in front.ask("GET", "/redfish/v1", user=None).body
        assert front.ask("PATCH", MANAGER, name).body["ServiceIdentification"] == "hall 3, row B"
        for wrong in ("x" * 129, "two\nlines"):
            refused = front.ask("PATCH", MANAGER, {"ServiceIdentification": wrong})
            assert refused.status == 400
            info = refused.body["error"]["@Message.ExtendedInfo"][0]
            assert info["RelatedProperties"] == ["#/ServiceIdentification"]
        front.service.accounts.create("viewer", "only-looking", "ReadOnly")
        assert (
            front.ask("PATCH", MANAGER, name, user="viewer", password="only-looking").status == 403
        )
    with served(tmp_path) as front:
        for user in ("root", None):
            root = front.ask("GET", "/redfish/v1", user=user).body
            assert root["ServiceIdentification"] == "hall 3, row B"
        assert front.ask("PATCH", MANAGER, {"ServiceIdentification": ""}).status == 200
        assert "ServiceIdentification" not in front.ask("GET", "/redfish/v1").body


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


def test_the_name_of_the_machine_can_be_set_and_nothing_else(tmp_path: Path) -> None:
    """A host name is kept and shown everywhere; no name, and an address, are refused."""
    kept: list[str] = []
    name = OwnName(lambda: kept[-1] if kept else None, kept.append)
    with served(tmp_path, host_name=name) as front:
        uri = f"{INTERFACES}/lo"
        assert front.ask("PATCH", uri, {"HostName": "bmc-7"}).body["HostName"] == "bmc-7"
        assert front.ask("GET", f"{MANAGER}/NetworkProtocol").body["HostName"] == "bmc-7"
        for wrong in ("-x", "a b", "", "x" * 64, "a.b", "ü"):
            assert front.ask("PATCH", uri, {"HostName": wrong}).status == 400
        for read_only in ("IPv4Addresses", "FQDN", "NameServers"):
            answer = front.ask("PATCH", uri, {read_only: []})
            assert answer.body["error"]["code"] == "Base.1.19.PropertyNotWritable"
        assert front.ask("PATCH", f"{INTERFACES}/eth99", {"HostName": "bmc-8"}).status == 404
    assert kept == ["bmc-7"]


def test_the_kernel_is_told_the_name() -> None:
    """In a namespace of its own the name that is set is the one that hostname(1) tells."""
    code = "from bmc_ext.host_name import MachineName as N; import os; N().change('bmc-9')"
    words = ["unshare", "--user", "--map-root-user", "--uts", "sh", "-c"]
    script = f'"{sys.executable}" -c "{code}" && cat /proc/sys/kernel/hostname'
    told = subprocess.run([*words, script], capture_output=True, text=True)
    if told.returncode and "unshare" in told.stderr:
        pytest.skip(f"no namespaces here: {told.stderr.strip()}")
    assert told.stdout.strip() == "bmc-9"
    assert socket.gethostname() != "bmc-9"


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
