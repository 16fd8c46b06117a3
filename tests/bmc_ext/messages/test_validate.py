"""What a document is checked for, in which order, and what is left of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

import schemas
from bmc_ext.errors import MessageError
from bmc_ext.messages.envelope import DCPI_VERSIONS, envelope
from bmc_ext.messages.pointer import pointer
from bmc_ext.messages.validate import ignored_members, message_type_of, validate


@pytest.fixture
def announcement() -> dict[str, Any]:
    """The example announcement."""
    text = schemas.path("examples/workload_announce.request.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


@pytest.mark.parametrize(
    ("body", "kind"),
    [([], "an array"), ("x", "a string"), (None, "null"), (True, "a boolean"), (1.5, "a number")],
)
def test_a_body_that_is_no_object_is_refused(body: object, kind: str) -> None:
    """A body that is not an object is refused as a whole, and its kind is told."""
    with pytest.raises(MessageError, match=f"^the body is {kind}, not an object$") as caught:
        validate(body, "workload_announcement")
    assert caught.value.property_path == ""


def test_the_version_comes_first(announcement: dict[str, Any]) -> None:
    """A message of an unknown version is refused for that, whatever else is wrong with it."""
    announcement |= {"dcpi_version": "9.9", "message_type": "unheard_of", "timestamp": 5}
    with pytest.raises(MessageError, match=r"^dcpi_version is '9.9', not 1.0$") as caught:
        validate(announcement, "workload_announcement")
    assert caught.value.property_path == "/dcpi_version"


def test_a_version_that_is_a_number_is_told_apart(announcement: dict[str, Any]) -> None:
    """1.0 is not "1.0": the error names the type that is wrong."""
    announcement["dcpi_version"] = 1.0
    with pytest.raises(MessageError, match=r"^dcpi_version is 1.0, not of type string$"):
        validate(announcement, "workload_announcement")


def test_the_shallowest_fault_is_named(announcement: dict[str, Any]) -> None:
    """Of several faults the one nearest to the top is named, and always the same one."""
    announcement["power_profile"]["peak_power_mw"] = -1
    del announcement["workload_id"]
    announcement["timestamp"] = "x"
    with pytest.raises(MessageError) as caught:
        validate(announcement, "workload_announcement")
    assert caught.value.property_path == "/timestamp"


def test_one_of_several_types_is_told(announcement: dict[str, Any]) -> None:
    """An endpoint that takes two messages asks which one it has; none of them is an error."""
    types = ("demand_response_request", "workload_announcement")
    assert message_type_of(announcement, types) == "workload_announcement"
    with pytest.raises(MessageError, match="not grid_signal or load_forecast") as caught:
        message_type_of(announcement, ("grid_signal", "load_forecast"))
    assert caught.value.property_path == "/message_type"


def test_an_unknown_message_type_is_a_programming_error(announcement: dict[str, Any]) -> None:
    """Asking for a type that has no schema is a ValueError, not the client's fault."""
    with pytest.raises(ValueError, match="no message type 'nonsense'"):
        validate(announcement, "nonsense")


def test_unknown_members_are_ignored(announcement: dict[str, Any]) -> None:
    """Members that no schema knows pass, at any depth, and stay in the message."""
    announcement["vendor"] = {"x": [1, None]}
    announcement["power_profile"]["flexibility"]["mood"] = "good"
    assert validate(announcement, "workload_announcement") == announcement
    assert ignored_members(announcement, "workload_announcement") == ()


def test_a_malformed_member_of_the_draft_is_left_out(announcement: dict[str, Any]) -> None:
    """A member that Annex A does not know and that breaks the draft's type is dropped and named."""
    announcement["power_profile"]["flexibility"]["min_power_mw"] = "twenty"
    announcement["power_profile"]["start_time_estimate"] = "soon"
    announcement["thermal_profile"] = 5
    announcement["facility_id"] = "a\nb"
    kept = validate(announcement, "workload_announcement")
    assert "thermal_profile" not in kept
    assert "start_time_estimate" not in kept["power_profile"]
    assert kept["power_profile"]["flexibility"] == {
        "can_delay": True, "max_delay_sec": 600, "can_throttle": True,
    }  # fmt: skip
    assert sorted(ignored_members(announcement, "workload_announcement")) == [
        "/facility_id",
        "/power_profile/flexibility/min_power_mw",
        "/power_profile/start_time_estimate",
        "/thermal_profile",
    ]
    assert announcement["thermal_profile"] == 5
    with pytest.raises(MessageError):
        validate(announcement, "workload_announcement", strict=True)


def test_an_array_with_a_malformed_item_is_left_out_as_a_whole() -> None:
    """Of a malformed array nothing is kept: a part of it could mean something else."""
    text = schemas.path("examples/workload_announce.response.json").read_text(encoding="utf-8")
    response = json.loads(text)
    response["reasons"] = ["fine", 5, 6]
    assert "reasons" not in validate(response, "infrastructure_response")
    assert ignored_members(response, "infrastructure_response") == ("/reasons",)


@pytest.mark.parametrize("event_id", [42, None, ["a"]])
def test_a_wrong_type_is_told_before_what_it_holds(event_id: object) -> None:
    """An identity of another type is called that, whatever else is wrong with it."""
    text = schemas.path("examples/demand_response.request.json").read_text(encoding="utf-8")
    request = json.loads(text) | {"event_id": event_id}
    with pytest.raises(MessageError, match=r"event_id is .*, not of type string") as caught:
        validate(request, "demand_response_request")
    assert caught.value.property_path == "/event_id"


def test_a_huge_value_does_not_swell_the_error(announcement: dict[str, Any]) -> None:
    """A refusal quotes at most a few words of what the client sent."""
    for value in ("x" * 100_000, ["y"] * 100_000, {"z" * 1000: "z" * 100_000}):
        announcement["timestamp"] = value
        with pytest.raises(MessageError) as caught:
            validate(announcement, "workload_announcement")
        assert len(str(caught.value)) < 200


def test_the_envelope_has_the_header_fields() -> None:
    """The header is that of 5.2.1: version, type, UTC time, facility and correlation."""
    header = envelope(
        "grid_status", facility_id="campus", correlation_id="c-1", now_s=1_772_619_330.2
    )
    assert header == {
        "dcpi_version": DCPI_VERSIONS[-1],
        "message_type": "grid_status",
        "timestamp": "2026-03-04T10:15:30.200Z",
        "facility_id": "campus",
        "correlation_id": "c-1",
    }
    assert next(iter(header)) == "dcpi_version"


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ([], ""),
        (["a", 0, "b"], "/a/0/b"),
        (["a/b", "m~n", ""], "/a~1b/m~0n/"),
        (["\ud800"], "/?"),
    ],
)
def test_pointers_follow_rfc_6901(keys: list[str | int], expected: str) -> None:
    """Slashes and tildes are escaped, and a pointer can always be written as UTF-8."""
    assert pointer(keys) == expected
