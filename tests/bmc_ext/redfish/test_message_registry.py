"""Every message that is sent exists in its registry, with as many arguments as it takes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served_front import PASSWORD, USER, Served, served

from bmc_ext.redfish import dcpi_messages
from bmc_ext.redfish.base_messages import ARGUMENTS

ROOT = "/redfish/v1"
ACCOUNTS = f"{ROOT}/AccountService/Accounts"
SESSIONS = f"{ROOT}/SessionService/Sessions"
RESET = f"{ROOT}/Managers/DCPI/Actions/Manager.Reset"
BODY = {"UserName": "anna", "Password": "a-password", "RoleId": "ReadOnly"}


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A front."""
    with served(tmp_path_factory.mktemp("state")) as it:
        yield it


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "key", "args", "related"),
    [
        ("POST", ACCOUNTS, b"{", 400, "MalformedJSON", [], None),
        ("POST", ACCOUNTS, {"UserName": "a"}, 400, "PropertyMissing", ["RoleId"], "#/RoleId"),
        ("POST", ACCOUNTS, {**BODY, "X": 1}, 400, "PropertyUnknown", ["X"], "#/X"),
        ("POST", ACCOUNTS, {**BODY, "Enabled": 1}, 400, "PropertyValueTypeError",
         ["1", "Enabled"], "#/Enabled"),
        ("POST", ACCOUNTS, {**BODY, "RoleId": "God"}, 400, "PropertyValueNotInList",
         ["God", "RoleId"], "#/RoleId"),
        ("POST", ACCOUNTS, {**BODY, "Password": "short"}, 400, "PropertyValueFormatError",
         ["******", "Password"], "#/Password"),
        ("POST", ACCOUNTS, {**BODY, "UserName": USER}, 409, "ResourceAlreadyExists",
         ["ManagerAccount", "UserName", USER], "#/UserName"),
        ("PATCH", f"{ACCOUNTS}/{USER}", {"UserName": "x"}, 400, "PropertyNotWritable",
         ["UserName"], "#/UserName"),
        ("PATCH", f"{ROOT}/SessionService", {"SessionTimeout": 5}, 400, "PropertyValueOutOfRange",
         ["5", "SessionTimeout"], "#/SessionTimeout"),
        ("GET", f"{ROOT}/Nothing", None, 404, "ResourceMissingAtURI", [f"{ROOT}/Nothing"], None),
        ("DELETE", ACCOUNTS, None, 405, "OperationNotAllowed", [], None),
        ("POST", RESET, {"ResetType": "On"}, 400, "ActionParameterValueNotInList",
         ["On", "ResetType", "Manager.Reset"], "#/ResetType"),
        ("POST", RESET, {"ResetType": 5}, 400, "ActionParameterValueTypeError",
         ["5", "ResetType", "Manager.Reset"], "#/ResetType"),
        ("POST", RESET, {"Now": True}, 400, "ActionParameterUnknown",
         ["Manager.Reset", "Now"], "#/Now"),
        ("POST", f"{ROOT}/CertificateService/Actions/CertificateService.ReplaceCertificate", {},
         400, "ActionParameterMissing",
         ["CertificateService.ReplaceCertificate", "CertificateString"], "#/CertificateString"),
        ("GET", f"{ACCOUNTS}?$top=x", None, 400, "QueryParameterValueTypeError",
         ["x", "$top"], None),
        ("GET", f"{ACCOUNTS}?$expand=.($levels=99)", None, 400, "QueryParameterOutOfRange",
         ["99", "$expand", "1-6"], None),
    ],
)  # fmt: skip
def test_a_refusal_names_what_is_wrong(
    front: Served,
    method: str,
    path: str,
    body: Any,
    status: int,
    key: str,
    args: list[str],
    related: str | None,
) -> None:
    """The key is the Base registry's, its arguments fit, and the property is pointed at."""
    answer = front.ask(method, path, body)
    (info,) = answer.body["error"]["@Message.ExtendedInfo"]
    assert (answer.status, info["MessageId"]) == (status, f"Base.1.19.{key}")
    assert info["MessageArgs"] == args
    assert len(args) == ARGUMENTS[key]
    assert info.get("RelatedProperties") == (None if related is None else [related])
    assert PASSWORD not in str(answer.body)


def test_the_registries_are_found_and_ours_is_served(front: Served) -> None:
    """Each member names a location; ours is a MessageRegistry whose placeholders are counted."""
    members = front.ask("GET", f"{ROOT}/Registries").body["Members"]
    files = {
        body["Id"]: body for body in (front.ask("GET", link["@odata.id"]).body for link in members)
    }
    assert {"Base", "ResourceEvent", "Privileges", "Dcpi"} <= files.keys()
    for name in ("Base", "ResourceEvent", "Privileges"):
        assert files[name]["Location"][0]["PublicationUri"].startswith("https://redfish.dmtf.org/")
    registry = front.ask("GET", files["Dcpi"]["Location"][0]["Uri"]).body
    assert files["Dcpi"]["Registry"] == "Dcpi.1.0"
    assert registry["RegistryVersion"].startswith("1.0.")
    for message in registry["Messages"].values():
        places = set(re.findall(r"%(\d)", message["Message"]))
        assert places == {str(n + 1) for n in range(message["NumberOfArgs"])}
        assert len(message.get("ParamTypes", [])) == message["NumberOfArgs"]


def test_every_condition_of_a_sensor_is_in_our_registry() -> None:
    """Whatever kind of condition the code makes has a message with the sensor as its argument."""
    kinds = set()
    root = Path(__file__).parents[3]
    for file in [*(root / "bmc_ext").rglob("*.py"), *(root / "drivers").rglob("*.py")]:
        text = file.read_text(encoding="utf-8")
        if "Condition(" in text or "def beyond" in text or "_TEXTS = {" in text:
            kinds |= set(re.findall(r'"([a-z]+(?:-[a-z]+)+)"', text))
    kinds -= {"out-of-range", "comm-error"}  # qualities, not conditions
    assert {"sensor-lost", "sensor-disagrees", "above-range", "calibration-overdue"} <= kinds
    messages = dcpi_messages.registry()["Messages"]
    for kind in kinds:
        key = "".join(word.capitalize() for word in kind.split("-"))
        assert messages[key]["NumberOfArgs"] == 1, kind


def test_a_message_with_other_arguments_is_a_mistake() -> None:
    """Too few arguments leave no placeholder in the text: they are refused."""
    assert dcpi_messages.message("SensorLost", "m1")["Message"] == "The sensor m1 is lost."
    with pytest.raises(ValueError, match="takes 1 arguments"):
        dcpi_messages.message("SensorLost")
