"""ActionInfo: what it says of an action is what that action does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from served_front import Answer, Served, served

ROOT = "/redfish/v1"
_RIGHT: dict[str, Any] = {
    "String": "text", "StringArray": ["text"], "Boolean": True, "Number": 1, "Object": {},
    "ObjectArray": [{}],
}  # fmt: skip
_WRONG: dict[str, Any] = {"String": 1, "Boolean": "true", "Number": "1"}
SERVICES = (
    "CertificateService", "EventService", "TelemetryService", "Managers/DCPI",
    "Managers/DCPI/LogServices/EventLog",
)  # fmt: skip
MESSAGES = ("dcpi", "dcpi/thermal/status", "dcpi/grid/status")


class Action(NamedTuple):
    """One action with its parameters."""

    target: str
    parameters: list[dict[str, Any]]


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A front that no test changes."""
    with served(tmp_path_factory.mktemp("front")) as it:
        yield it


def _actions(front: Served, places: tuple[str, ...]) -> Iterator[Action]:
    for place in places:
        body = front.ask("GET", f"{ROOT}/{place}").body
        for action in body["Actions"].values():
            info = front.ask("GET", action["@Redfish.ActionInfo"])
            assert info.status == 200
            yield Action(action["target"], info.body["Parameters"])


def _said(answer: Answer) -> tuple[int, str, list[str]]:
    assert answer.status == 400, answer
    (message,) = answer.body["error"]["@Message.ExtendedInfo"]
    return answer.status, message["MessageId"].rpartition(".")[2], message["MessageArgs"]


def _refusals(front: Served, action: Action) -> Iterator[str]:
    """Send each value that the ActionInfo excludes; what the action says it is."""
    good = {p["Name"]: _good(p) for p in action.parameters}
    for parameter in action.parameters:
        name, kind = parameter["Name"], parameter["DataType"]
        wrong = front.ask("POST", action.target, {**good, name: _WRONG.get(kind, "text")})
        _, key, args = _said(wrong)
        assert (key, args[1]) == ("ActionParameterValueTypeError", name)
        yield key
        if "AllowableValues" in parameter:
            _, key, args = _said(front.ask("POST", action.target, {**good, name: "None such"}))
            assert (key, args[1]) == ("ActionParameterValueNotInList", name)
            yield key
        if parameter["Required"]:
            without = {key: value for key, value in good.items() if key != name}
            _, key, args = _said(front.ask("POST", action.target, without))
            assert (key, args[1]) == ("ActionParameterMissing", name)
            yield key
    _, key, args = _said(front.ask("POST", action.target, {**good, "NoSuch": 1}))
    assert (key, args[1]) == ("ActionParameterUnknown", "NoSuch")
    yield key


def _good(parameter: dict[str, Any]) -> Any:
    allowable = parameter.get("AllowableValues")
    return allowable[0] if allowable else _RIGHT[parameter["DataType"]]


def test_an_action_refuses_what_its_info_excludes(front: Served) -> None:
    """A wrong type, a value that is not allowable, a missing and an unknown parameter."""
    seen = {key for one in _actions(front, SERVICES) for key in _refusals(front, one)}
    assert seen == {
        "ActionParameterValueTypeError", "ActionParameterValueNotInList", "ActionParameterMissing",
        "ActionParameterUnknown",
    }  # fmt: skip


def test_the_info_of_a_message_asks_for_what_the_message_needs(front: Served) -> None:
    """Of DCPI's own actions what is required is what is missed, one after the other."""
    for action in _actions(front, MESSAGES):
        required = {p["Name"] for p in action.parameters if p["Required"]}
        assert {"dcpi_version", "message_type", "timestamp"} <= required
        known = {"dcpi_version": "1.0", "timestamp": "2026-01-01T00:00:00Z"}
        (kinds,) = [p["AllowableValues"] for p in action.parameters if p["Name"] == "message_type"]
        for kind in kinds:
            answer = front.ask("POST", action.target, {**known, "message_type": kind})
            (message,) = answer.body["error"]["@Message.ExtendedInfo"]
            missed = message["RelatedProperties"][0].removeprefix("#/")
            assert answer.status == 400
            assert missed in {p["Name"] for p in action.parameters} - set(known)


def test_there_is_no_info_below_what_is_not_there(front: Served) -> None:
    """A manager or a subscription that nobody knows has no ActionInfo either."""
    for uri in ("Managers/none/ResetActionInfo",
                "EventService/Subscriptions/none/ResumeSubscriptionActionInfo"):  # fmt: skip
        assert front.ask("GET", f"{ROOT}/{uri}").status == 404
