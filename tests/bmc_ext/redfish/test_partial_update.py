"""What a PATCH does with members that cannot be written (DSP0266 7.9)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from served_front import USER, Served, served

ROOT = "/redfish/v1"
EVENTS = f"{ROOT}/EventService"
ACCOUNT = f"{ROOT}/AccountService/Accounts/{USER}"


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A front."""
    with served(tmp_path_factory.mktemp("front")) as it:
        yield it


def _told(messages: list[dict[str, Any]]) -> list[tuple[str, list[str]]]:
    return [(m["MessageId"].rpartition(".")[2], m.get("RelatedProperties")) for m in messages]


def test_what_can_be_written_is_and_the_rest_is_told(front: Served) -> None:
    """200 with the resource as it is then, and a message for each member that was left out."""
    before = front.ask("GET", EVENTS)
    wanted = before.body["DeliveryRetryAttempts"] + 1
    body = {"Id": "x", "DeliveryRetryAttempts": wanted, "Colour": "blue", "@odata.id": "/y"}
    answer = front.ask("PATCH", EVENTS, body)
    assert (answer.status, answer.body["DeliveryRetryAttempts"]) == (200, wanted)
    assert answer.body["@odata.id"] == EVENTS
    assert _told(answer.body["@Message.ExtendedInfo"]) == [
        ("PropertyNotWritable", ["#/Id"]), ("PropertyUnknown", ["#/Colour"]),
    ]  # fmt: skip
    after = front.ask("GET", EVENTS)
    assert after.body["DeliveryRetryAttempts"] == wanted
    assert answer.headers["etag"] == after.headers["etag"] != before.headers["etag"]
    assert "@Message.ExtendedInfo" not in after.body


def test_where_nothing_can_be_written_all_is_told_and_refused(front: Served) -> None:
    """400 with every member that is at fault."""
    answer = front.ask("PATCH", ACCOUNT, {"UserName": "x", "Colour": 1, "@odata.etag": "y"})
    assert answer.status == 400
    assert _told(answer.body["error"]["@Message.ExtendedInfo"]) == [
        ("PropertyNotWritable", ["#/UserName"]), ("PropertyUnknown", ["#/Colour"]),
    ]  # fmt: skip


def test_a_wrong_value_refuses_the_whole(front: Served) -> None:
    """A member that could be written is not, beside one whose value cannot be."""
    before = front.ask("GET", EVENTS).body
    body = {"ServiceEnabled": "no", "DeliveryRetryAttempts": 77, "Colour": "blue"}
    answer = front.ask("PATCH", EVENTS, body)
    assert answer.status == 400
    (message,) = answer.body["error"]["@Message.ExtendedInfo"]
    assert message["MessageId"].endswith("PropertyValueTypeError")
    assert front.ask("GET", EVENTS).body == before


@pytest.mark.parametrize("body", [{}, {"@odata.id": EVENTS}, {"@odata.etag": "x"}])
def test_a_body_without_properties_is_no_operation(front: Served, body: object) -> None:
    """400 NoOperation, where the resource is there."""
    answer = front.ask("PATCH", EVENTS, body)
    assert (answer.status, answer.body["error"]["code"]) == (400, "Base.1.19.NoOperation")
    assert front.ask("PATCH", f"{ROOT}/AccountService/Accounts/nobody", body).status == 404


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"1", b'{"Id": 1, "Id": 2}'])
def test_what_is_no_object_is_refused(front: Served, body: bytes) -> None:
    """400, and nothing fails."""
    assert front.ask("PATCH", EVENTS, body).status == 400


def test_a_flood_of_unknown_members_is_refused(front: Served) -> None:
    """Beyond 32 nobody is told of each."""
    many = {f"Unknown{number}": number for number in range(1000)}
    answer = front.ask("PATCH", EVENTS, {**many, "DeliveryRetryAttempts": 5})
    assert answer.status == 400
    assert len(answer.body["error"]["@Message.ExtendedInfo"]) < 40


def test_numbers_beyond_64_bits_are_left_out_like_others(front: Served) -> None:
    """What the rest of the body holds is handed on as it came."""
    body = {"Colour": 2**80, "DeliveryRetryAttempts": 2**80}
    assert front.ask("PATCH", EVENTS, body).status == 400


def test_a_member_is_posted_to_the_members_of_its_collection(front: Served) -> None:
    """The property Members takes what the collection takes (DSP0266 7.10)."""
    new = {"UserName": "by-members", "Password": "of-this-test", "RoleId": "ReadOnly"}
    answer = front.ask("POST", f"{ROOT}/AccountService/Accounts/Members", new)
    assert (answer.status, answer.headers["location"]) == (201, answer.body["@odata.id"])
    assert front.ask("DELETE", answer.body["@odata.id"]).status == 204
