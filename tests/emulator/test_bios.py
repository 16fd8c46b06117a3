"""The BIOS of the emulated machine over HTTPS: what is set waits for the next start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e.emulator_client import Running, emulator

ROOT = "/redfish/v1"


@pytest.fixture(scope="module")
def bmc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A mock BMC."""
    with emulator(tmp_path_factory.mktemp("bmc") / "state") as it:
        yield it


@pytest.fixture
def system(bmc: Running) -> str:
    """Its system, off and with nothing pending."""
    uri: str = bmc.get(f"{ROOT}/Systems")["Members"][0]["@odata.id"]
    bmc.ask("POST", f"{uri}/Bios/Actions/Bios.ResetBios", {})
    for kind in ("ForceOff", "On", "ForceOff"):
        _reset(bmc, uri, kind)
    return uri


def _reset(bmc: Running, system: str, kind: str) -> None:
    answer = bmc.ask("POST", f"{system}/Actions/ComputerSystem.Reset", {"ResetType": kind})
    assert answer.status == 204, answer


def _set(bmc: Running, system: str, **attributes: object) -> None:
    """As clients do: from the settings object that the BIOS names."""
    bios = bmc.get(bmc.get(system)["Bios"]["@odata.id"])
    settings = bios["@Redfish.Settings"]["SettingsObject"]["@odata.id"]
    answer = bmc.ask("PATCH", settings, {"Attributes": attributes})
    assert answer.status == 204, answer


def _attributes(bmc: Running, system: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """In force, and after the next start."""
    bios = f"{system}/Bios"
    return bmc.get(bios)["Attributes"], bmc.get(f"{bios}/Settings")["Attributes"]


@pytest.mark.parametrize("start", [("On",), ("On", "ForceOff", "On"), ("ForceOn",)])
def test_settings_wait_for_the_next_start(
    bmc: Running, system: str, start: tuple[str, ...]
) -> None:
    """Until then only the settings object shows them; then the BIOS does, and says when."""
    before, _ = _attributes(bmc, system)
    _set(bmc, system, QuietBoot=False, ProcTurboMode="Disabled")
    _set(bmc, system, EmbeddedSata="Ahci")
    wanted = {"QuietBoot": False, "ProcTurboMode": "Disabled", "EmbeddedSata": "Ahci"}
    assert _attributes(bmc, system) == (before, {**before, **wanted})
    _reset(bmc, system, "ForceOff")  # it is off already: nothing starts
    assert _attributes(bmc, system)[0] == before
    for kind in start:
        _reset(bmc, system, kind)
    assert _attributes(bmc, system) == ({**before, **wanted},) * 2
    said = bmc.get(f"{system}/Bios")["@Redfish.Settings"]
    assert said["Messages"][0]["MessageId"].endswith(".Success")
    assert said["Time"] > bmc.get(f"{ROOT}/Managers/DCPI")["DateTime"][:10]


@pytest.mark.parametrize("kind", ["ForceRestart", "GracefulRestart"])
def test_a_restart_is_a_start_and_a_stop_is_none(bmc: Running, system: str, kind: str) -> None:
    """Stopping keeps what is pending; so does asking a running machine to be on."""
    _reset(bmc, system, "On")
    _set(bmc, system, NicBoot1="Disabled")
    _reset(bmc, system, "On")
    assert _attributes(bmc, system)[0]["NicBoot1"] == "NetworkBoot"
    _reset(bmc, system, kind)
    assert _attributes(bmc, system)[0]["NicBoot1"] == "Disabled"
    _set(bmc, system, NicBoot1="NetworkBoot")
    _reset(bmc, system, "ForceOff")
    now, then = _attributes(bmc, system)
    assert (now["NicBoot1"], then["NicBoot1"]) == ("Disabled", "NetworkBoot")


def test_the_boot_mode_is_the_systems(bmc: Running, system: str) -> None:
    """BootMode and the system's own property are one thing, and so is SecureBootStatus."""
    assert bmc.get(system)["Boot"]["BootSourceOverrideMode"] == "UEFI"
    _set(bmc, system, BootMode="Bios")
    assert bmc.get(system)["Boot"]["BootSourceOverrideMode"] == "UEFI"
    _reset(bmc, system, "On")
    assert bmc.get(system)["Boot"]["BootSourceOverrideMode"] == "Legacy"
    bmc.ask("PATCH", system, {"Boot": {"BootSourceOverrideMode": "UEFI"}})
    assert _attributes(bmc, system)[0]["BootMode"] == "Uefi"
    for enabled, word in ((True, "Enabled"), (False, "Disabled")):
        bmc.ask("PATCH", f"{system}/SecureBoot", {"SecureBootEnable": enabled})
        assert _attributes(bmc, system)[0]["SecureBootStatus"] == word


def test_a_reset_of_the_bios_waits_too(bmc: Running, system: str) -> None:
    """The defaults come with the next start, and are announced until then."""
    defaults, _ = _attributes(bmc, system)
    _set(bmc, system, QuietBoot=False)
    _reset(bmc, system, "On")
    assert bmc.get(f"{system}/Bios")["ResetBiosToDefaultsPending"] is False
    target = bmc.get(f"{system}/Bios")["Actions"]["#Bios.ResetBios"]["target"]
    assert bmc.ask("POST", target, {}).status == 204
    assert bmc.get(f"{system}/Bios")["ResetBiosToDefaultsPending"] is True
    now, then = _attributes(bmc, system)
    assert (now["QuietBoot"], then) == (False, defaults)
    _reset(bmc, system, "ForceRestart")
    assert _attributes(bmc, system)[0] == defaults
    assert bmc.get(f"{system}/Bios")["ResetBiosToDefaultsPending"] is False


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"EmbeddedSata": "Scsi"}, "PropertyValueNotInList"),
        ({"QuietBoot": "yes"}, "PropertyValueTypeError"),
        ({"EmbeddedSata": True}, "PropertyValueTypeError"),
        ({"SecureBootStatus": "Enabled"}, "PropertyNotWritable"),
        ({"Overclock": "11"}, "PropertyUnknown"),
    ],
)
def test_what_cannot_be_set_is_refused_and_named(
    bmc: Running, system: str, attributes: dict[str, Any], message: str
) -> None:
    """Nothing of such a request waits for a start."""
    before = _attributes(bmc, system)
    body = {"Attributes": {"NicBoot1": "Disabled", **attributes}}
    answer = bmc.ask("PATCH", f"{system}/Bios/Settings", body)
    (info,) = answer.body["error"]["@Message.ExtendedInfo"]
    assert (answer.status, info["MessageId"]) == (400, f"Base.1.19.{message}")
    assert info["RelatedProperties"] == [f"#/Attributes/{next(iter(attributes))}"]
    assert _attributes(bmc, system) == before


def test_the_registry_tells_what_the_settings_take(bmc: Running, system: str) -> None:
    """It is listed, and its entries are the attributes with the values that are accepted."""
    bios = bmc.get(f"{system}/Bios")
    file = bmc.get(f"{ROOT}/Registries/{bios['AttributeRegistry']}")
    assert file["@odata.id"] in [
        one["@odata.id"] for one in bmc.get(f"{ROOT}/Registries")["Members"]
    ]
    registry = bmc.get(file["Location"][0]["Uri"])
    assert registry["Id"] == bios["AttributeRegistry"]
    entries = {one["AttributeName"]: one for one in registry["RegistryEntries"]["Attributes"]}
    assert entries.keys() == bios["Attributes"].keys()
    for name, entry in entries.items():
        values = [one["ValueName"] for one in entry.get("Value", [])] or [True, False]
        assert bios["Attributes"][name] in values
        for value in values:
            answer = bmc.ask("PATCH", f"{system}/Bios/Settings", {"Attributes": {name: value}})
            assert answer.status == (400 if entry["ReadOnly"] else 204), (name, value)


def test_what_is_to_be_done_at_another_time_is_not_done_now(bmc: Running, system: str) -> None:
    """A time that is not supported refuses the request; the one that is, is announced."""
    settings = f"{system}/Bios/Settings"
    shown = bmc.get(settings)["@Redfish.SettingsApplyTime"]
    assert shown["ApplyTime@Redfish.AllowableValues"] == ["OnReset"]
    for time, status in (("OnReset", 204), ("Immediate", 400), ("AtMaintenanceWindowStart", 400)):
        body = {"Attributes": {"QuietBoot": False},
                "@Redfish.SettingsApplyTime": {"ApplyTime": time}}  # fmt: skip
        assert bmc.ask("PATCH", settings, body).status == status, time
    reset = f"{system}/Actions/ComputerSystem.Reset"
    for time, status in (("AtMaintenanceWindowStart", 400), ("Immediate", 204)):
        body = {"ResetType": "On", "@Redfish.OperationApplyTime": time}
        answer = bmc.ask("POST", reset, body)
        assert answer.status == status
        assert bmc.get(system)["PowerState"] == ("On" if status == 204 else "Off")


def test_an_update_for_later_is_not_begun(bmc: Running, tmp_path: Path) -> None:
    """SimpleUpdate says that it begins at once, and refuses a request that wants it later."""
    action = bmc.get(f"{ROOT}/UpdateService")["Actions"]["#UpdateService.SimpleUpdate"]
    assert action["@Redfish.OperationApplyTimeSupport"]["SupportedValues"] == ["Immediate"]
    tasks = bmc.get(f"{ROOT}/TaskService/Tasks")["Members@odata.count"]
    for time, status in (("OnReset", 400), ("Immediate", 202)):
        body = {"ImageURI": "http://127.0.0.1:9/x", "@Redfish.OperationApplyTime": time}
        answer = bmc.ask("POST", action["target"], body)
        assert answer.status == status
        began = bmc.get(f"{ROOT}/TaskService/Tasks")["Members@odata.count"] - tasks
        assert began == (status == 202)


def _told(infos: list[dict[str, Any]]) -> list[tuple[str, list[str] | None]]:
    return [(one["MessageId"].rpartition(".")[2], one.get("RelatedProperties")) for one in infos]


def test_what_can_be_written_of_the_machine_is_and_the_rest_is_told(
    bmc: Running, system: str
) -> None:
    """200 with the machine as it is then; what it shows is told from what it does not know."""
    answer = bmc.ask("PATCH", system, {"PowerState": "On", "AssetTag": "mixed", "Colour": 1})
    assert (answer.status, answer.body["AssetTag"]) == (200, "mixed")
    assert answer.body["@odata.id"] == system
    left_out = [("PropertyNotWritable", ["#/PowerState"]), ("PropertyUnknown", ["#/Colour"])]
    assert _told(answer.body["@Message.ExtendedInfo"]) == left_out
    assert answer.headers["etag"] == bmc.ask("GET", system).headers["etag"]
    answer = bmc.ask("PATCH", system, {"PowerState": "On", "Colour": 1})
    assert answer.status == 400
    assert _told(answer.body["error"]["@Message.ExtendedInfo"]) == left_out
    wrong = bmc.ask("PATCH", system, {"AssetTag": 7, "Colour": 1})
    assert _told(wrong.body["error"]["@Message.ExtendedInfo"]) == [
        ("PropertyValueError", ["#/AssetTag"])
    ]
    assert bmc.get(system)["AssetTag"] == "mixed"
    nothing = bmc.ask("PATCH", system, {})
    assert _told(nothing.body["error"]["@Message.ExtendedInfo"]) == [("NoOperation", None)]
    assert bmc.ask("PATCH", f"{ROOT}/Systems", {}).status == 405
    assert bmc.ask("PATCH", f"{ROOT}/Systems/nobody", {"Colour": 1}).status == 404
    assert bmc.ask("PATCH", system, {"AssetTag": "plain"}).status == 204
