"""What happened, as a message of a registry: the one shape in which every source tells it."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import schemas

DCPI = "Dcpi.1.0"
RESOURCE = "ResourceEvent.1.4"
SENSOR = "SensorEvent.1.0"
REGISTRY_PREFIXES = ("Dcpi", "ResourceEvent", "SensorEvent")
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


# DMTF's registries ResourceEvent 1.4 and SensorEvent 1.0, in the words that their messages have.
_STANDARD: Mapping[str, Template] = {
    f"{RESOURCE}.ResourceCreated": Template("The resource was created.", "OK", "ResourceAdded"),
    f"{RESOURCE}.ResourceRemoved": Template("The resource was removed.", "OK", "ResourceRemoved"),
    f"{RESOURCE}.ResourceChanged": Template(
        "One or more resource properties have changed.", "OK", "ResourceUpdated"
    ),
    f"{RESOURCE}.ResourcePoweredOn": Template(
        "The resource `%1` has powered on.", "OK", "StatusChange"
    ),
    f"{RESOURCE}.ResourcePoweredOff": Template(
        "The resource `%1` has powered off.", "OK", "StatusChange"
    ),
    f"{RESOURCE}.ResourceWarningThresholdExceeded": Template(
        "The resource property %1 has exceeded its warning threshold of value %2.",
        "Warning",
        "Alert",
    ),
    f"{RESOURCE}.ResourceWarningThresholdCleared": Template(
        "The resource property %1 has cleared the warning threshold of value %2.", "OK", "Alert"
    ),
    f"{RESOURCE}.TestMessage": Template("Generated test message.", "OK", "Other"),
    f"{SENSOR}.SensorFailure": Template("Sensor '%1' has failed.", "Critical", "Alert"),
    f"{SENSOR}.SensorRestored": Template(
        "Sensor '%1' was repaired or restored to normal operation.", "OK", "Alert"
    ),
}


class Happening(NamedTuple):
    """One event: `origin` is the URI of the resource that it is about, `origin_type` its type.

    `at_s` is the Unix time at which it happened, in seconds.
    """

    message_id: str
    args: tuple[str, ...]
    text: str
    severity: str
    event_type: str
    at_s: float
    origin: str | None = None
    origin_type: str | None = None

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
    )


def is_known(message_id: str) -> bool:
    """Whether a message of that id is one that the service sends."""
    return message_id in _templates()


def without_version(message_id: str) -> str:
    """`Base.1.19.Success` as `Base.Success`; what has no version stays."""
    return f"{message_id.partition('.')[0]}.{message_id.rpartition('.')[2]}"


@functools.cache
def registry() -> dict[str, Any]:
    """Our own message registry, as it is published."""
    text = schemas.path("registries/Dcpi.1.0.0.json").read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


@functools.cache
def _templates() -> Mapping[str, Template]:
    own = {
        f"{DCPI}.{key}": Template(entry["Message"], entry["MessageSeverity"], "Alert")
        for key, entry in registry()["Messages"].items()
    }
    return {**_STANDARD, **own}


def _word(value: object) -> str:
    """An argument as text: numbers without an exponent or more digits than matter."""
    if value is None:
        return "unknown"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 1e5 else f"{value:.6g}"
