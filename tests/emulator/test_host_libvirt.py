"""libvirt's domains as systems, over the mock hypervisor that libvirt itself brings (test:///)."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.emulator_client import COMMAND, running, wait_for
from sushy_tools.emulator.resources.systems import libvirtdriver

from bmc_ext.errors import ConfigurationError
from bmc_ext.redfish.host import HostError
from emulator.host import SushyHost

URI = "test:///default"  # one domain, running, with a disk and a network card
DEBIANS = Path("/usr/lib/python3/dist-packages")  # of python3-libvirt


@pytest.fixture(scope="module")
def libvirt() -> Iterator[Any]:
    """Libvirt's own module, which sushy-tools uses; lent from Debian's where it is not ours."""
    sys.path.append(str(DEBIANS))
    try:
        module = importlib.import_module("libvirt")
    except ImportError as error:
        reason = f"no libvirt for this Python ({error}): apt install python3-libvirt"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    finally:
        sys.path.remove(str(DEBIANS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(libvirtdriver, "libvirt", module)
        patch.setattr(libvirtdriver, "is_loaded", True)
        yield module


class Machine:
    """The one domain: asked through the host, and looked at by a connection of our own."""

    def __init__(self, host: SushyHost, hypervisor: Any) -> None:
        self.host = host
        (self.id,) = host.members("Systems")
        self.uri = f"/redfish/v1/Systems/{self.id}"
        self.hypervisor = hypervisor
        self.domain = hypervisor.lookupByUUIDString(self.id)

    def get(self) -> dict[str, Any]:
        """The system."""
        body = self.host.handle("GET", self.uri, "", None).body
        assert body is not None
        return body

    def reset(self, kind: str) -> None:
        """ComputerSystem.Reset."""
        action = f"{self.uri}/Actions/ComputerSystem.Reset"
        self.host.handle("POST", action, "", {"ResetType": kind})

    def boot(self, **settings: str) -> None:
        """Change the boot override; the names come without their prefix."""
        boot = {f"BootSourceOverride{name}": value for name, value in settings.items()}
        self.host.handle("PATCH", self.uri, "", {"Boot": boot})

    def run(self) -> int:
        """The number that the hypervisor gave this run of the domain."""
        number: int = self.hypervisor.lookupByUUIDString(self.id).ID()
        return number

    def boots_from(self) -> str:
        """The device that the next start boots from, as the hypervisor has it."""
        tree = ET.fromstring(self.domain.XMLDesc(2))  # VIR_DOMAIN_XML_INACTIVE
        legacy = tree.find("os/boot[@dev='hd']")
        if legacy is not None:
            return "Hdd"
        first = tree.find("devices/*/boot[@order='1']/..")
        assert first is not None
        return {"interface": "Pxe", "disk": "Hdd"}[first.tag]


@pytest.fixture(scope="module")
def hypervisor(libvirt: Any) -> Iterator[Any]:
    """The mock hypervisor, which lives as long as one connection does."""
    connection = libvirt.open(URI)
    yield connection
    connection.close()


@pytest.fixture
def machine(tmp_path: Path, hypervisor: Any) -> Iterator[Machine]:
    """A host over the one domain, which is afterwards as it was before."""
    (domain,) = hypervisor.listAllDomains()
    xml = domain.XMLDesc()
    host = SushyHost(tmp_path / "host", libvirt_uri=URI)
    yield Machine(host, hypervisor)
    host.close()
    for left in hypervisor.listAllDomains():
        if left.isActive():
            left.destroy()
        left.undefine()
    hypervisor.defineXML(xml).create()


@pytest.mark.parametrize(
    ("kind", "was_on", "is_on"),
    [
        ("On", False, True),
        ("ForceOn", False, True),
        ("ForceOff", True, False),
        ("GracefulShutdown", True, False),
        ("ForceRestart", True, True),
        ("GracefulRestart", True, True),
    ],
)
def test_reset_reaches_the_domain(machine: Machine, kind: str, was_on: bool, is_on: bool) -> None:
    """The hypervisor itself says what came of each kind of reset."""
    if not was_on:
        machine.domain.destroy()
    run = machine.run()
    machine.reset(kind)
    assert bool(machine.domain.isActive()) is is_on
    assert machine.get()["PowerState"] == ("On" if is_on else "Off")
    if kind == "ForceRestart":
        assert machine.run() != run


def test_what_others_do_shows_in_the_next_get(machine: Machine) -> None:
    """Power, a new domain and a removed one are seen without any write of ours."""
    assert machine.get()["PowerState"] == "On"
    machine.domain.destroy()
    assert machine.get()["PowerState"] == "Off"
    other = "<domain type='test'><name>other</name><memory>1024</memory><os><type>hvm</type></os>"
    added = machine.hypervisor.defineXML(f"{other}</domain>")
    assert set(machine.host.members("Systems")) == {machine.id, added.UUIDString()}
    assert machine.host.handle("GET", "/redfish/v1/Systems", "", None).status == 200
    machine.domain.undefine()
    assert machine.host.members("Managers") == (added.UUIDString(),)
    with pytest.raises(HostError) as refused:
        machine.get()
    assert refused.value.status == 404


def test_an_override_for_one_boot_is_used_up(machine: Machine) -> None:
    """The domain boots from the network once, and then from its disk as before."""
    machine.boot(Target="Pxe", Enabled="Once")
    assert machine.boots_from() == "Pxe"
    boot = machine.get()["Boot"]
    assert (boot["BootSourceOverrideTarget"], boot["BootSourceOverrideEnabled"]) == ("Pxe", "Once")
    machine.reset("On")  # it runs: nothing starts
    assert machine.boots_from() == "Pxe"
    machine.reset("ForceRestart")
    assert machine.boots_from() == "Hdd"
    boot = machine.get()["Boot"]
    assert boot["BootSourceOverrideEnabled"] == "Disabled"


@pytest.mark.parametrize("undo", [{"Enabled": "Disabled"}, {"Target": "None"}])
def test_an_override_for_all_boots_stays_until_it_is_disabled(
    machine: Machine, undo: dict[str, str]
) -> None:
    """Starts do not use it up; both ways of disabling it put the old device back."""
    machine.boot(Target="Pxe", Enabled="Continuous")
    machine.reset("ForceRestart")
    assert machine.boots_from() == "Pxe"
    machine.boot(**undo)
    assert machine.boots_from() == "Hdd"
    assert machine.get()["Boot"]["BootSourceOverrideEnabled"] == "Disabled"


@pytest.mark.parametrize("wish", [{"Target": "Cd"}, {"Mode": "UEFI"}])
def test_what_the_domain_lacks_is_refused(machine: Machine, wish: dict[str, str]) -> None:
    """It has neither a drive nor firmware for UEFI: 400, and nothing has changed."""
    with pytest.raises(HostError) as refused:
        machine.boot(**wish)
    assert refused.value.status == 400
    assert machine.boots_from() == "Hdd"


def test_there_is_no_virtual_media(machine: Machine) -> None:
    """No image is ever fetched, so none is said to be in a domain's drive."""
    assert "VirtualMedia" not in machine.get()
    assert machine.host.methods(f"{machine.uri}/VirtualMedia/Cd") == ()


def test_an_unknown_hypervisor_is_a_clear_error(tmp_path: Path, libvirt: Any) -> None:
    """What cannot be reached is named."""
    with pytest.raises(ConfigurationError, match="--libvirt-uri nonsense:///"):
        SushyHost(tmp_path / "host", libvirt_uri="nonsense:///")


def test_without_libvirt_it_says_what_to_install(tmp_path: Path) -> None:
    """The module is not part of the emulator."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(libvirtdriver, "is_loaded", False)
        with pytest.raises(ConfigurationError, match="apt install python3-libvirt"):
            SushyHost(tmp_path / "host", libvirt_uri=URI)


def test_emulate_serves_the_domains(tmp_path: Path, libvirt: Any) -> None:
    """Over HTTPS, beside the campus: a reset changes the domain's power."""
    lent = tmp_path / "lent"
    lent.mkdir()
    for file in Path(libvirt.__file__).parent.glob("libvirt*"):
        (lent / file.name).symlink_to(file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(lent))
        options = ["--port", 0, "--state-dir", tmp_path / "state", "--libvirt-uri", URI]
        with running("emulate", *options) as bmc:
            (system,) = bmc.get("/redfish/v1/Systems")["Members"]
            body = bmc.get(system["@odata.id"])
            assert (body["Name"], body["PowerState"]) == ("test", "On")
            action = body["Actions"]["#ComputerSystem.Reset"]["target"]
            assert bmc.ask("POST", action, {"ResetType": "ForceOff"}).status == 204
            wait_for(
                lambda: bmc.get(system["@odata.id"])["PowerState"] == "Off", 10, "power is off"
            )


def test_domains_belong_to_one_bmc(tmp_path: Path) -> None:
    """Several BMCs cannot share them."""
    result = subprocess.run(
        [COMMAND, "emulate", "--count", "2", "--libvirt-uri", URI],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 2
    assert "cannot belong to several BMCs" in result.stderr
