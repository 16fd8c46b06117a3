"""The mock host BMC: what it shows, what a write does, what it refuses, what it keeps."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bmc_ext.errors import StateError
from bmc_ext.network_interfaces import network_interfaces
from bmc_ext.redfish.host import HostBMC, HostError
from bmc_ext.redfish.resources import ethernet_interface
from emulator.host import HostChassis, HostSystem, SushyHost
from emulator.host.machines import STOCK_CHASSIS

ROOT = "/redfish/v1"
OTHER = HostSystem("11111111-2222-4333-8444-555555555555", "rack-7", ("02:00:00:00:00:01",))


class HandClock:
    """A clock that stands still until the test turns it."""

    def __init__(self, unix_s: float = 1_767_225_600.0) -> None:
        self.unix_s = unix_s

    def unix_ns(self) -> int:
        """Nanoseconds since 1970."""
        return int(self.unix_s * 1e9)

    def monotonic_s(self) -> float:
        """The same clock, in seconds."""
        return self.unix_s

    def sleep(self, seconds: float) -> None:
        """Advance instead of waiting."""
        self.unix_s += seconds


@pytest.fixture
def host(tmp_path: Path) -> Iterator[SushyHost]:
    """A host with its stock machines."""
    host = SushyHost(tmp_path)
    host.warm_up()
    yield host
    host.close()


def _get(host: HostBMC, path: str) -> dict[str, Any]:
    answer = host.handle("GET", path, "", None)
    assert answer.status == 200
    assert answer.body is not None
    return answer.body


def _uri(host: HostBMC, collection: str = "Systems") -> str:
    return f"{ROOT}/{collection}/{host.members(collection)[0]}"


def _reset(host: HostBMC, kind: str) -> None:
    uri = f"{_uri(host)}/Actions/ComputerSystem.Reset"
    assert host.handle("POST", uri, "", {"ResetType": kind}).status == 204


def _links(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "@odata.id":
                yield inner
            else:
                yield from _links(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _links(inner)


def test_every_link_of_every_body_is_answered(host: SushyHost) -> None:
    """A crawl from the three collections meets no dead link and no mockup leftovers."""
    todo = [f"{ROOT}/{name}" for name in ("Systems", "Chassis", "Managers")]
    seen: set[str] = set()
    types: set[str] = set()
    while todo:
        path = todo.pop()
        if path not in seen:
            seen.add(path)
            body = _get(host, path)
            assert body["@odata.id"] == path
            assert "@Redfish.Copyright" not in str(body)
            assert "HealthRollUp" not in str(body)
            types.add(body["@odata.type"].removeprefix("#"))
            links = [link.partition("#")[0] for link in _links(body)]
            # The service around the host answers these: they are its own network and logs.
            todo += [link for link in links if not link.startswith(f"{ROOT}/Managers/DCPI/")]
    assert {path.split("/")[3] for path in seen} == {"Systems", "Chassis", "Managers"}
    assert len(seen) == 32 + len(network_interfaces())
    types.discard(ethernet_interface.INTERFACE)
    collections = {f"{name}Collection" for name in ("ComputerSystem", "Chassis", "Manager")}
    assert types == {*host.types, *(f"{name}.{name}" for name in collections)}


def test_the_members_are_the_machines_that_were_configured(tmp_path: Path) -> None:
    """Systems, managers and chassis bear the UUIDs and names they were given."""
    chassis = HostChassis("99999999-2222-4333-8444-555555555555", "Rack 7")
    host = SushyHost(tmp_path, systems=(OTHER,), chassis=(chassis,))
    assert host.members("Systems") == host.members("Managers") == (OTHER.uuid,)
    assert host.members("Chassis") == (chassis.uuid,)
    assert host.members("Fabrics") == ()
    system = _get(host, _uri(host))
    assert (system["Name"], system["UUID"]) == ("rack-7", OTHER.uuid)
    assert _get(host, _uri(host, "Chassis"))["Name"] == "Rack 7"
    nics = _get(host, f"{_uri(host)}/EthernetInterfaces")["Members"]
    assert _get(host, nics[0]["@odata.id"])["MACAddress"] == "02:00:00:00:00:01"
    host.close()


@pytest.mark.parametrize(
    "systems", [(), (HostSystem("not-a-uuid", "x"),), (OTHER, OTHER), (HostSystem("A" * 32, "x"),)]
)
def test_machines_without_a_uuid_of_their_own_are_refused(
    tmp_path: Path, systems: tuple[HostSystem, ...]
) -> None:
    """None, a malformed, a repeated or a non-canonical UUID is a ValueError."""
    with pytest.raises(ValueError, match="systems"):
        SushyHost(tmp_path, systems=systems)


def test_power_actions_show_in_the_next_get(host: SushyHost) -> None:
    """On, off and restart take effect at once unless a delay was asked for."""
    assert _get(host, _uri(host))["PowerState"] == "Off"
    for kind, expected in (
        ("On", "On"), ("ForceOff", "Off"), ("ForceOff", "Off"), ("ForceOn", "On"),
        ("GracefulRestart", "On"), ("GracefulShutdown", "Off"), ("ForceRestart", "On"),
    ):  # fmt: skip
        _reset(host, kind)
        assert _get(host, _uri(host))["PowerState"] == expected


def test_a_delayed_power_change_shows_when_it_is_due(tmp_path: Path) -> None:
    """Until the delay has passed the old state shows, then the new one, without another write."""
    clock = HandClock()
    host = SushyHost(tmp_path, power_delay_s=5, clock=clock)
    _reset(host, "On")
    clock.sleep(4.9)
    assert _get(host, _uri(host))["PowerState"] == "Off"
    clock.sleep(0.2)
    assert _get(host, _uri(host))["PowerState"] == "On"

    _reset(host, "ForceRestart")
    assert _get(host, _uri(host))["PowerState"] == "Off"
    _reset(host, "ForceOff")  # overtakes the restart
    clock.sleep(10)
    assert _get(host, _uri(host))["PowerState"] == "Off"
    host.close()


def test_boot_settings_show_in_the_next_get(host: SushyHost) -> None:
    """Target, mode and for how long, together and one by one."""
    uri = _uri(host)
    wanted = {
        "BootSourceOverrideTarget": "Pxe",
        "BootSourceOverrideMode": "Legacy",
        "BootSourceOverrideEnabled": "Once",
    }
    assert host.handle("PATCH", uri, "", {"Boot": wanted}).status == 204
    boot = _get(host, uri)["Boot"]
    assert {name: boot[name] for name in wanted} == wanted
    for name, value in wanted.items():
        assert value in boot[f"{name}@Redfish.AllowableValues"]

    host.handle("PATCH", uri, "", {"Boot": {"BootSourceOverrideEnabled": "Continuous"}})
    host.handle("PATCH", uri, "", {"Boot": {"BootSourceOverrideTarget": "Cd"}})
    boot = _get(host, uri)["Boot"]
    assert boot["BootSourceOverrideTarget"] == "Cd"
    assert boot["BootSourceOverrideEnabled"] == "Continuous"


def test_an_override_for_one_boot_is_used_up_by_it(host: SushyHost) -> None:
    """Once becomes Disabled at the next power-on; Continuous stays."""
    uri = _uri(host)
    host.handle("PATCH", uri, "", {"Boot": {"BootSourceOverrideEnabled": "Once"}})
    assert _get(host, uri)["Boot"]["BootSourceOverrideEnabled"] == "Once"
    _reset(host, "On")
    assert _get(host, uri)["Boot"]["BootSourceOverrideEnabled"] == "Disabled"
    host.handle("PATCH", uri, "", {"Boot": {"BootSourceOverrideEnabled": "Continuous"}})
    _reset(host, "ForceRestart")
    assert _get(host, uri)["Boot"]["BootSourceOverrideEnabled"] == "Continuous"


def test_other_settings_show_in_the_next_get(host: SushyHost) -> None:
    """Indicators and tags of system and chassis, and secure boot."""
    for uri in (_uri(host), _uri(host, "Chassis")):
        for value in ("Blinking", "Off"):
            host.handle("PATCH", uri, "", {"IndicatorLED": value})
            assert _get(host, uri)["IndicatorLED"] == value
        for active in (True, False):
            host.handle("PATCH", uri, "", {"LocationIndicatorActive": active})
            assert _get(host, uri)["LocationIndicatorActive"] is active
        host.handle("PATCH", uri, "", {"AssetTag": f"rack 7 {uri[12:20]}"})
        assert _get(host, uri)["AssetTag"] == f"rack 7 {uri[12:20]}"
        assert _get(host, uri)["IndicatorLED"] == "Off"
    secure = f"{_uri(host)}/SecureBoot"
    host.handle("PATCH", secure, "", {"SecureBootEnable": True})
    assert _get(host, secure)["SecureBootEnable"] is True
    assert _get(host, secure)["SecureBootCurrentBoot"] == "Enabled"


def test_a_managers_clock_runs_and_can_be_set(tmp_path: Path) -> None:
    """DateTime is never that of an earlier request, and goes on from what was written."""
    clock = HandClock()
    host = SushyHost(tmp_path, clock=clock)
    uri = _uri(host, "Managers")
    assert _get(host, uri)["DateTime"] == "2026-01-01T00:00:00+00:00"
    clock.sleep(1)
    assert _get(host, uri)["DateTime"] == "2026-01-01T00:00:01+00:00"
    host.handle(
        "PATCH", uri, "", {"DateTime": "2030-06-01T12:00:00Z", "DateTimeLocalOffset": "+02:00"}
    )
    clock.sleep(30)
    assert _get(host, uri)["DateTime"] == "2030-06-01T14:00:30+02:00"
    assert _get(host, uri)["DateTimeLocalOffset"] == "+02:00"
    host.close()


def test_media_are_noted_and_never_fetched(host: SushyHost) -> None:
    """InsertMedia shows the image at once, without a connection; EjectMedia takes it away."""
    device = f"{_uri(host)}/VirtualMedia/Cd"
    insert = f"{device}/Actions/VirtualMedia.InsertMedia"
    image = "http://127.0.0.1:9/images/boot.iso"  # nothing listens there: a fetch would fail
    secret = {"UserName": "anna", "Password": "hunter2hunter2"}
    assert host.handle("POST", insert, "", {"Image": image, **secret}).status == 204
    body = _get(host, device)
    assert (body["Image"], body["ImageName"], body["Inserted"]) == (image, "boot.iso", True)
    assert (body["ConnectedVia"], body["UserName"], body["Password"]) == ("URI", "anna", None)
    host.handle("POST", f"{device}/Actions/VirtualMedia.EjectMedia", "", None)
    body = _get(host, device)
    assert (body["Image"], body["Inserted"], body["ConnectedVia"]) == (None, False, "NotConnected")


_SYSTEM = "{Systems}"
_RESET = "{Systems}/Actions/ComputerSystem.Reset"
_INSERT = "{Systems}/VirtualMedia/Cd/Actions/VirtualMedia.InsertMedia"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "pointer"),
    [
        ("GET", "Chassis/nope", None, 404, ""),
        ("GET", "Chassis/nope/Thermal", None, 404, ""),
        ("GET", "Systems/nope", None, 404, ""),
        ("GET", "Systems/fake", None, 404, ""),
        ("GET", "Systems/nope/VirtualMedia/Cd", None, 404, ""),
        ("GET", "Managers/nope", None, 404, ""),
        ("GET", "{Systems}/Storage", None, 404, ""),
        ("GET", "{Systems}/Memory", None, 404, ""),
        ("GET", "{Systems}/VirtualMedia/Tape", None, 404, ""),
        ("GET", "{Systems}/EthernetInterfaces/nope", None, 404, ""),
        ("GET", "{Systems}/EthernetInterfaces/\udcff", None, 404, ""),
        ("GET", "{Systems}/EthernetInterfaces/a\0b", None, 404, ""),
        ("GET", "{Systems}//SecureBoot", None, 404, ""),
        ("GET", "TaskService", None, 404, ""),
        ("GET", "Fabrics", None, 404, ""),
        ("GET", _RESET, None, 405, ""),
        ("DELETE", _SYSTEM, None, 405, ""),
        ("POST", "Systems", {}, 405, ""),
        ("PATCH", _SYSTEM, [], 400, ""),
        ("PATCH", _SYSTEM, [1], 400, ""),
        ("PATCH", _SYSTEM, "text", 400, ""),
        ("PATCH", _SYSTEM, None, 400, ""),
        ("PATCH", _SYSTEM, {}, 400, ""),
        ("PATCH", _SYSTEM, {"@odata.etag": "x"}, 400, ""),
        ("PATCH", _SYSTEM, {"SKU": "x"}, 400, "/SKU"),
        ("PATCH", _SYSTEM, {"Boot": []}, 400, "/Boot"),
        ("PATCH", _SYSTEM, {"Boot": {}}, 400, "/Boot"),
        (
            "PATCH", _SYSTEM, {"Boot": {"BootSourceOverrideTarget": "Tape"}}, 400,
            "/Boot/BootSourceOverrideTarget",
        ),
        (
            "PATCH", _SYSTEM, {"Boot": {"BootSourceOverrideTarget": {"a": 1}}}, 400,
            "/Boot/BootSourceOverrideTarget",
        ),
        (
            "PATCH", _SYSTEM, {"Boot": {"BootSourceOverrideEnabled": "Twice"}}, 400,
            "/Boot/BootSourceOverrideEnabled",
        ),
        ("PATCH", _SYSTEM, {"Boot": {"HttpBootUri": "http://x/"}}, 400, "/Boot/HttpBootUri"),
        ("PATCH", _SYSTEM, {"IndicatorLED": "Red"}, 400, "/IndicatorLED"),
        ("PATCH", _SYSTEM, {"AssetTag": "x" * 256}, 400, "/AssetTag"),
        ("PATCH", "{Chassis}", {"IndicatorLED": None}, 400, "/IndicatorLED"),
        ("PATCH", "{Systems}/SecureBoot", {"SecureBootEnable": 1}, 400, "/SecureBootEnable"),
        ("PATCH", "{Managers}", {"DateTime": "yesterday"}, 400, "/DateTime"),
        ("PATCH", "{Managers}", {"DateTime": "2026-01-01T00:00:00"}, 400, "/DateTime"),
        ("PATCH", "{Managers}", {"DateTime": "9999-12-31T00:00:00Z"}, 400, "/DateTime"),
        ("PATCH", "{Managers}", {"DateTimeLocalOffset": "2"}, 400, "/DateTimeLocalOffset"),
        ("POST", _RESET, None, 400, "/ResetType"),
        ("POST", _RESET, {}, 400, "/ResetType"),
        ("POST", _RESET, [], 400, ""),
        ("POST", _RESET, {"ResetType": "Nmi"}, 400, "/ResetType"),
        ("POST", _RESET, {"ResetType": ["On"]}, 400, "/ResetType"),
        ("POST", _RESET, {"ResetType": "On", "Force": True}, 400, "/Force"),
        ("POST", _INSERT, {}, 400, "/Image"),
        ("POST", _INSERT, {"Image": "file:///etc/passwd"}, 400, "/Image"),
        ("POST", _INSERT, {"Image": "http://[::1"}, 400, "/Image"),
        ("POST", _INSERT, {"Image": "http://x/\ud800"}, 400, "/Image"),
        ("POST", _INSERT, {"Image": "http://x/y", "UserName": "\0"}, 400, "/UserName"),
        ("POST", _INSERT, {"Image": "http://x/y", "Inserted": "yes"}, 400, "/Inserted"),
    ],
)  # fmt: skip
def test_a_bad_request_is_refused_by_name_and_changes_nothing(
    host: SushyHost, method: str, path: str, body: object, status: int, pointer: str
) -> None:
    """Each gets its status and the JSON Pointer of the property at fault; all bodies stay."""
    parts = {name: f"{name}/{host.members(name)[0]}" for name in ("Systems", "Chassis", "Managers")}
    watched = [_uri(host, name) for name in parts]
    watched.append(f"{_uri(host)}/VirtualMedia/Cd")
    before = [_without_time(_get(host, uri)) for uri in watched]
    with pytest.raises(HostError) as caught:
        host.handle(method, f"{ROOT}/{path.format(**parts)}", "", body)
    assert (caught.value.status, caught.value.property_path) == (status, pointer)
    assert pointer.rpartition("/")[2] in str(caught.value)
    assert [_without_time(_get(host, uri)) for uri in watched] == before


def _without_time(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "DateTime"}


def test_an_answer_belongs_to_its_caller(host: SushyHost) -> None:
    """Whatever a caller does to a body, the next GET is not changed by it."""
    body = _get(host, _uri(host))
    body["Boot"].clear()
    body["PowerState"] = "Paused"
    again = _get(host, _uri(host))
    assert again["PowerState"] == "Off"
    assert again["Boot"]


def test_a_trailing_slash_and_a_query_make_no_difference(host: SushyHost) -> None:
    """They are the same resource."""
    assert host.handle("GET", _uri(host) + "/", "a=b", None).body == _get(host, _uri(host))


def test_state_survives_a_restart(tmp_path: Path) -> None:
    """Power, boot, indicator, medium and the manager's clock are as they were left."""
    clock = HandClock()
    host = SushyHost(tmp_path, clock=clock, power_delay_s=60)
    uri, device = _uri(host), f"{_uri(host)}/VirtualMedia/Cd"
    _reset(host, "On")
    boot = {"BootSourceOverrideTarget": "Pxe", "BootSourceOverrideEnabled": "Continuous"}
    host.handle("PATCH", uri, "", {"Boot": boot, "IndicatorLED": "Blinking", "AssetTag": "7"})
    host.handle("PATCH", _uri(host, "Managers"), "", {"DateTime": "2030-01-01T00:00:00Z"})
    insert = f"{device}/Actions/VirtualMedia.InsertMedia"
    host.handle("POST", insert, "", {"Image": "https://images.example/x.iso"})
    before = [_get(host, one) for one in (uri, device, _uri(host, "Managers"))]
    host.close()

    host = SushyHost(tmp_path, clock=clock, power_delay_s=60)
    assert [_get(host, one) for one in (uri, device, _uri(host, "Managers"))] == before
    clock.sleep(61)
    assert _get(host, uri)["PowerState"] == "On"
    host.close()


def test_a_system_that_is_no_longer_configured_is_gone(tmp_path: Path) -> None:
    """The state of an earlier configuration does not bring its machines back."""
    SushyHost(tmp_path).close()
    host = SushyHost(tmp_path, systems=(OTHER,))
    listed = [member["@odata.id"] for member in _get(host, f"{ROOT}/Systems")["Members"]]
    assert listed == [_uri(host)]
    host.close()


def test_two_hosts_in_one_process_share_nothing(tmp_path: Path) -> None:
    """What is done to one does not show on the other, nor in its files."""
    first = SushyHost(tmp_path / "first")
    second = SushyHost(tmp_path / "second", systems=(OTHER,), power_delay_s=3600)
    _reset(first, "On")
    first.handle("PATCH", _uri(first), "", {"IndicatorLED": "Off"})
    assert _get(first, _uri(first))["PowerState"] == "On"
    assert _get(second, _uri(second))["PowerState"] == "Off"
    assert _get(second, _uri(second))["IndicatorLED"] == "Lit"
    with pytest.raises(HostError):
        _get(second, _uri(first))
    _reset(second, "On")
    assert _get(second, _uri(second))["PowerState"] == "Off"  # its own delay
    with pytest.raises(StateError, match="in use"):
        SushyHost(tmp_path / "first")
    first.close()
    second.close()
    assert (tmp_path / "first" / "host.sqlite").exists()
    assert (tmp_path / "second" / "host.sqlite").exists()


def test_eight_threads_read_what_was_written_last(tmp_path: Path) -> None:
    """Each thread owns one system; its write shows in its next GET beside seven others."""
    systems = tuple(
        HostSystem(f"00000000-0000-4000-8000-00000000000{number}", f"node{number}")
        for number in range(8)
    )
    host = SushyHost(tmp_path, systems=systems)
    failures: list[object] = []

    def work(uri: str) -> None:
        reset = f"{uri}/Actions/ComputerSystem.Reset"
        try:
            for _ in range(10):
                for kind, expected in (("On", "On"), ("ForceOff", "Off")):
                    host.handle("POST", reset, "", {"ResetType": kind})
                    if _get(host, uri)["PowerState"] != expected:
                        failures.append((uri, kind))
        except Exception as error:
            failures.append(error)

    threads = [
        threading.Thread(target=work, args=(f"{ROOT}/Systems/{system.uuid}",)) for system in systems
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    host.close()


def test_no_request_leaves_a_descriptor_open(host: SushyHost) -> None:
    """A hundred writes and GETs keep the number of open files."""
    uri = _uri(host)
    open_before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - iterdir would count its own
    for number in range(100):
        led = ("Off", "Lit")[number % 2]
        host.handle("PATCH", uri, "", {"IndicatorLED": led})
        _get(host, uri)
    assert len(os.listdir("/proc/self/fd")) == open_before  # noqa: PTH208


_EXERCISE = """
import sys, warnings
warnings.filterwarnings("ignore", "'cgi' is deprecated")
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from emulator.host import SushyHost
host = SushyHost(Path(sys.argv[1]))
uri = "/redfish/v1/Systems/" + host.members("Systems")[0]
host.warm_up()
host.handle("POST", uri + "/Actions/ComputerSystem.Reset", "", {"ResetType": "On"})
media = uri + "/VirtualMedia/Cd"
image = {"Image": "http://127.0.0.1:9/x.iso"}
host.handle("POST", media + "/Actions/VirtualMedia.InsertMedia", "", image)
host.handle("POST", media + "/Actions/VirtualMedia.EjectMedia", "", None)
host.close()
"""


def test_nothing_is_written_outside_the_state_directory(tmp_path: Path) -> None:
    """Home, temporary and working folder stay empty, and sushy's own configuration is not read."""
    folders = {name: tmp_path / name for name in ("home", "tmp", "cwd", "state")}
    for folder in folders.values():
        folder.mkdir()
    theirs = tmp_path / "sushy.conf"
    theirs.write_text("raise SystemExit('this is for another program')")
    environment = {
        **os.environ,
        "HOME": str(folders["home"]),
        "TMPDIR": str(folders["tmp"]),
        "SUSHY_EMULATOR_CONFIG": str(theirs),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", _EXERCISE, str(folders["state"]), str(root)]
    subprocess.run(command, check=True, env=environment, cwd=folders["cwd"])
    assert [list(folders[name].iterdir()) for name in ("home", "tmp", "cwd")] == [[], [], []]
    assert (folders["state"] / "host.sqlite").exists()


@pytest.mark.parametrize(
    ("reset_type", "key", "args"),
    [
        ("Explode", "PropertyValueNotInList", ("Explode", "ResetType")),
        (5, "PropertyValueTypeError", ("5", "ResetType")),
        (None, "PropertyMissing", ("ResetType",)),
    ],
)
def test_a_refusal_bears_a_message_of_the_base_registry(
    host: SushyHost, reset_type: object, key: str, args: tuple[str, ...]
) -> None:
    """The key and its arguments say what is wrong with which property."""
    body = {} if reset_type is None else {"ResetType": reset_type}
    with pytest.raises(HostError) as caught:
        host.handle("POST", f"{_uri(host)}/Actions/ComputerSystem.Reset", "", body)
    assert (caught.value.message, caught.value.message_args) == (key, args)


def test_a_lost_supply_stays_lost_until_its_last_cause_ends(tmp_path: Path) -> None:
    """Two causes at one supply: mending one leaves the other; another chassis is left alone."""
    other = HostChassis("00000000-0000-4000-8000-000000000001", "second")
    host = SushyHost(tmp_path, chassis=[STOCK_CHASSIS, other])
    uri = f"{ROOT}/Chassis/{STOCK_CHASSIS.uuid}/PowerSubsystem"
    before = host.version(uri)
    host.lose_supply("a", None, "PSU1", "failure")
    assert host.version(uri) != before
    host.lose_supply("b", STOCK_CHASSIS.uuid, "PSU1", "input")
    host.restore_supply("b")
    assert _get(host, f"{uri}/PowerSupplies/PSU1")["Status"]["Health"] == "Critical"
    assert _get(host, f"{uri}/PowerSupplies/PSU1")["LineInputStatus"] == "Normal"
    elsewhere = f"{ROOT}/Chassis/{other.uuid}/PowerSubsystem"
    assert _get(host, elsewhere)["Status"]["HealthRollup"] == "OK"
    host.restore_supply("a")
    assert _get(host, f"{uri}/PowerSupplies/PSU1")["Status"]["Health"] == "OK"
    with pytest.raises(HostError, match="nothing lives"):
        _get(host, f"{uri}/PowerSupplies/PSU3")
    host.close()


def test_a_change_in_the_drivers_own_state_shows_in_the_next_get(host: SushyHost) -> None:
    """What changes a system without asking this host is seen, and the version says so."""
    uri = _uri(host)
    assert _get(host, uri)["PowerState"] == "Off"
    before = host.version(uri)
    assert before is not None
    assert host.version(uri) == before
    host._app.power.set_power_state(host.members("Systems")[0], "On")
    assert host.version(uri) != before
    host._app.power.settle()
    assert _get(host, uri)["PowerState"] == "On"


def test_what_changes_with_time_has_no_version(tmp_path: Path) -> None:
    """A manager shows the time, and a power change that is due is not made yet."""
    clock = HandClock()
    host = SushyHost(tmp_path, power_delay_s=5, clock=clock)
    assert host.version(_uri(host, "Managers")) is None
    _reset(host, "On")
    waiting = host.version(_uri(host))
    assert waiting is not None
    assert _get(host, _uri(host))["PowerState"] == "Off"
    clock.sleep(5)
    assert host.version(_uri(host)) is None
    assert _get(host, _uri(host))["PowerState"] == "On"
    assert host.version(_uri(host)) not in (None, waiting)
    host.close()
