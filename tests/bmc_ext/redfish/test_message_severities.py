"""Messages carry the severity that DMTF's registries give them (Base 1.19.0, SensorEvent 1.0.0)."""

from __future__ import annotations

import pytest

from bmc_ext.redfish.errors import error_body
from bmc_ext.redfish.events.message import happening


@pytest.mark.parametrize(
    ("status", "key", "severity"),
    [
        (400, "PropertyUnknown", "Warning"),
        (400, "MalformedJSON", "Critical"),
        (401, "NoValidSession", "Critical"),
        (403, "InsufficientPrivilege", "Critical"),
        (404, "ResourceMissingAtURI", "Critical"),
        (405, "OperationNotAllowed", "Critical"),
        (409, "ResourceInUse", "Warning"),
        (503, "ServiceTemporarilyUnavailable", "Critical"),
    ],
)
def test_a_refusal_is_as_severe_as_its_message(status: int, key: str, severity: str) -> None:
    """Not as its status: a 400 may be critical."""
    args = {"PropertyUnknown": ["Colour"], "ResourceMissingAtURI": ["/redfish/v1/nowhere"]}
    asked = key if key in ("PropertyUnknown", "MalformedJSON") else ""
    body = error_body(status, "no", message=asked, args=args.get(key, []), path="/redfish/v1")
    (info,) = body["error"]["@Message.ExtendedInfo"]
    assert info["MessageId"] == f"Base.1.19.{key}"
    assert info["MessageSeverity"] == severity


def test_a_parameter_out_of_range_has_a_message_of_its_own() -> None:
    """Base 1.18 added it: value, parameter and action."""
    body = error_body(
        400,
        "too large",
        "/PowerLimitWatts",
        message="PropertyValueOutOfRange",
        args=["9", "PowerLimitWatts"],
        path="/redfish/v1/Chassis/1/Actions/Chassis.Reset",
    )
    (info,) = body["error"]["@Message.ExtendedInfo"]
    assert info["MessageId"] == "Base.1.19.ActionParameterValueOutOfRange"
    assert info["MessageArgs"] == ["9", "PowerLimitWatts", "Chassis.Reset"]


def test_a_lost_sensor_warns() -> None:
    """SensorEvent calls it a warning; so does whoever filters by severity."""
    event = happening("SensorEvent.1.0.SensorFailure", ["s"], at_s=0.0)
    assert (event.severity, event.text) == ("Warning", "Sensor 's' has failed.")
    event = happening("SensorEvent.1.0.SensorRestored", ["s"], at_s=0.0)
    assert (event.severity, event.text) == ("OK", "Sensor 's' has been restored.")
