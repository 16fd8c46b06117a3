"""What happened, as a message of a registry: the one shape in which every source tells it."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from bmc_ext.domain.thresholds import LEVELS, Level
from bmc_ext.redfish import dcpi_messages

DCPI = dcpi_messages.PREFIX
RESOURCE = "ResourceEvent.1.4"
SENSOR = "SensorEvent.1.0"
POWER = "Power.1.0"
TELEMETRY = "Telemetry.1.0"
UPDATE = "Update.1.0"
HEARTBEAT = "HeartbeatEvent.1.0"
REGISTRY_PREFIXES = (
    "Dcpi", "HeartbeatEvent", "Power", "ResourceEvent", "SensorEvent", "Telemetry", "Update",
)  # fmt: skip
"""The registries whose messages the service itself sends."""

EVENT_TYPES = (
    "Alert", "MetricReport", "Other", "ResourceAdded", "ResourceRemoved", "ResourceUpdated",
    "StatusChange",
)  # fmt: skip
"""Event.EventType of the schema Event."""

SEVERITIES = ("OK", "Warning", "Critical")
"""Resource.Health."""

_ARGUMENT = re.compile(r"%(\d)")


class Template(NamedTuple):
    """A message of a registry: `%1` … in `text` are its arguments."""

    text: str
    severity: str
    event_type: str


NORMAL_RANGE = f"{SENSOR}.SensorReadingNormalRange"
"""A reading that is beyond no limit any more."""


def passed_message(level: Level) -> str:
    """A reading that has come beyond a limit."""
    return f"{SENSOR}.Reading{'Above' if level.startswith('Upper') else 'Below'}{level}Threshold"


def cleared_message(level: Level) -> str:
    """A reading that is back inside a critical limit, and still beyond another one."""
    return f"{SENSOR}.Reading{'Below' if level.startswith('Upper') else 'Above'}{level}Threshold"


def _thresholds() -> Iterator[tuple[str, Template]]:
    start = "Sensor '%1' reading of %2 (%3) is"
    for level in LEVELS:
        word = "upper" if level.startswith("Upper") else "lower"
        kind = level.removeprefix("Upper").removeprefix("Lower").lower()
        outward, back = ("above", "below") if word == "upper" else ("below", "above")
        severity = "Critical" if kind == "critical" else "Warning"
        limit = f"the %4 {word} {kind} threshold"
        yield passed_message(level), Template(f"{start} {outward} {limit}.", severity, "Alert")
        if kind == "critical":
            text = f"{start} now {back} {limit} but remains outside of normal range."
            yield cleared_message(level), Template(text, "Warning", "Alert")
    yield NORMAL_RANGE, Template(f"{start} within normal operating range.", "OK", "Alert")


def _triggers() -> Iterator[tuple[str, Template]]:
    """Each threshold when it is passed outward, the critical ones when they are passed back."""
    start = "Metric '%1' value of %2"
    for word, outward, back in (("Upper", "above", "below"), ("Lower", "below", "above")):
        for kind, severity in (("Critical", "Critical"), ("Warning", "Warning")):
            limit = f"the %3 {word.lower()} {kind.lower()} threshold of trigger '%4'"
            key = f"{TELEMETRY}.TriggerNumeric{outward.capitalize()}{word}{kind}"
            yield key, Template(f"{start} is {outward} {limit}", severity, "Alert")
        limit = f"the %3 {word.lower()} critical threshold of trigger '%4'"
        text = f"{start} is now {back} {limit} but remains outside of normal range"
        key = f"{TELEMETRY}.TriggerNumeric{back.capitalize()}{word}Critical"
        yield key, Template(text, "Warning", "Alert")
    text = f"{start} is within normal operating range of trigger '%3'"
    yield f"{TELEMETRY}.TriggerNumericReadingNormal", Template(text, "OK", "Alert")
    text = "Metric '%1' has the value '%2', which meets the discrete condition of trigger '%3'"
    yield f"{TELEMETRY}.TriggerDiscreteConditionMet", Template(text, "OK", "Alert")


# DMTF's registries, in the words that their messages have.
_STANDARD: Mapping[str, Template] = {
    f"{RESOURCE}.ResourceCreated": Template(
        "The resource was created successfully.", "OK", "ResourceAdded"
    ),
    f"{RESOURCE}.ResourceRemoved": Template(
        "The resource was removed successfully.", "OK", "ResourceRemoved"
    ),
    f"{RESOURCE}.ResourceChanged": Template(
        "One or more resource properties have changed.", "OK", "ResourceUpdated"
    ),
    f"{RESOURCE}.ResourcePoweredOn": Template(
        "The resource '%1' has powered on.", "OK", "StatusChange"
    ),
    f"{RESOURCE}.ResourcePoweredOff": Template(
        "The resource '%1' has powered off.", "OK", "StatusChange"
    ),
    **{
        f"{RESOURCE}.ResourceStatusChanged{health}": Template(
            "The health of resource '%1' has changed to %2.", health, "StatusChange"
        )
        for health in SEVERITIES
    },
    f"{RESOURCE}.ResourceWarningThresholdExceeded": Template(
        "The resource property %1 has exceeded its warning threshold of value %2.",
        "Warning",
        "Alert",
    ),
    f"{RESOURCE}.ResourceWarningThresholdCleared": Template(
        "The resource property %1 has cleared the warning threshold of value %2.", "OK", "Alert"
    ),
    f"{RESOURCE}.TestMessage": Template("Test message.", "OK", "Other"),
    f"{POWER}.OutletPoweredOn": Template("Outlet '%1' powered on.", "OK", "StatusChange"),
    f"{POWER}.OutletPoweredOff": Template("Outlet '%1' powered off.", "OK", "StatusChange"),
    f"{UPDATE}.InstallingOnComponent": Template(
        "Image '%1' is being installed on '%2'.", "OK", "StatusChange"
    ),
    f"{UPDATE}.UpdateSuccessful": Template(
        "Device '%1' successfully updated with image '%2'.", "OK", "StatusChange"
    ),
    f"{UPDATE}.ApplyFailed": Template(
        "Installation of image '%1' to '%2' failed.", "Critical", "Alert"
    ),
    f"{HEARTBEAT}.RedfishServiceFunctional": Template(
        "Redfish service is functional.", "OK", "Other"
    ),
    **dict(_thresholds()),
    **dict(_triggers()),
    f"{SENSOR}.SensorFailure": Template("Sensor '%1' has failed.", "Warning", "Alert"),
    f"{SENSOR}.SensorRestored": Template("Sensor '%1' has been restored.", "OK", "Alert"),
}


class Audience(NamedTuple):
    """Who may be told of a resource that not everyone may read: that user, and that privilege."""

    username: str
    privilege: str


class Happening(NamedTuple):
    """One event: `origin` is the URI of the resource that it is about, `origin_type` its type.

    `at_s` is the Unix time at which it happened, in seconds. Without an `audience` everyone who
    may log in may be told.
    """

    message_id: str
    args: tuple[str, ...]
    text: str
    severity: str
    event_type: str
    at_s: float
    origin: str | None = None
    origin_type: str | None = None
    audience: Audience | None = None

    @property
    def key(self) -> str:
        """Prefix and key without the version, such as `ResourceEvent.ResourceChanged`."""
        return without_version(self.message_id)

    @property
    def prefix(self) -> str:
        """The registry's prefix."""
        return self.message_id.partition(".")[0]


def happening(
    message_id: str,
    args: Sequence[object] = (),
    *,
    at_s: float,
    origin: str | None = None,
    origin_type: str | None = None,
    audience: Audience | None = None,
) -> Happening:
    """An event with the text that its registry gives it; KeyError for an unknown message."""
    template = _templates()[message_id]
    words = tuple(_word(value) for value in args)
    return Happening(
        message_id,
        words,
        _ARGUMENT.sub(lambda match: words[int(match[1]) - 1], template.text),
        template.severity,
        template.event_type,
        at_s,
        origin,
        origin_type,
        audience,
    )


def is_known(message_id: str) -> bool:
    """Whether a message of that id is one that the service sends."""
    return message_id in _templates()


def without_version(message_id: str) -> str:
    """`Base.1.19.Success` as `Base.Success`; what has no version stays."""
    return f"{message_id.partition('.')[0]}.{message_id.rpartition('.')[2]}"


@functools.cache
def _templates() -> Mapping[str, Template]:
    own = {
        f"{DCPI}.{key}": Template(entry["Message"], entry["MessageSeverity"], "Alert")
        for key, entry in dcpi_messages.registry()["Messages"].items()
    }
    return {**_STANDARD, **own}


def _word(value: object) -> str:
    """An argument as text: numbers without an exponent or more digits than matter."""
    if value is None:
        return "unknown"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 1e5 else f"{value:.6g}"
