"""What a client writes of a subscription: every member checked, or an error that names it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from bmc_ext.errors import MessageError
from bmc_ext.redfish import members
from bmc_ext.redfish.events.listener import check_destination
from bmc_ext.redfish.events.message import EVENT_TYPES, SEVERITIES
from bmc_ext.redfish.events.subscription import FORMATS, POLICIES, Subscription, Wanted
from bmc_ext.settings import EventsConfig

_MAX_ENTRIES = 100
_MAX_TEXT = 1024
_HEARTBEAT_MINUTES = 10  # where a client names no interval
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")  # RFC 9110 5.6.2
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,4096}")
_OWN_HEADERS = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection", "odata-version"}
)

# Property of EventDestination → field of Wanted, and which values it takes.
_LISTS: Mapping[str, tuple[str, tuple[str, ...] | None]] = {
    "RegistryPrefixes": ("registry_prefixes", None),
    "ExcludeRegistryPrefixes": ("exclude_registry_prefixes", None),
    "MessageIds": ("message_ids", None),
    "ExcludeMessageIds": ("exclude_message_ids", None),
    "ResourceTypes": ("resource_types", None),
    "Severities": ("severities", SEVERITIES),
    "EventTypes": ("event_types", EVENT_TYPES),
}
_LINKS = {
    "OriginResources": "origin_resources",
    "MetricReportDefinitions": "metric_report_definitions",
}
_OTHERS = (
    "Destination", "Protocol", "SubscriptionType", "Context", "EventFormatType",
    "SubordinateResources", "IncludeOriginOfCondition", "HttpHeaders", "VerifyCertificate",
    "DeliveryRetryPolicy", "SendHeartbeat", "HeartbeatIntervalMinutes", "Id", "Name",
)  # fmt: skip


def new_subscription(
    body: object, subscription_id: str, config: EventsConfig, owner: str
) -> Subscription:
    """The subscription that a POST asks for; MessageError names what is wrong with it."""
    found = members.json_object(body, (*_OTHERS, *_LISTS, *_LINKS))
    destination = members.text(found, "Destination")
    try:
        check_destination(destination, config)
    except ValueError as error:
        raise MessageError(f"Destination: {error}", "/Destination") from error
    members.text(found, "Protocol")
    _choice(found, "Protocol", ("Redfish",), "Redfish")
    _choice(found, "SubscriptionType", ("RedfishEvent",), "RedfishEvent")
    return Subscription(
        id=subscription_id,
        destination=destination,
        wanted=_wanted(found),
        owner=owner,
        include_origin=members.flag(found, "IncludeOriginOfCondition", False),
        heartbeat_s=_heartbeat_s(found),
        **{"context": None, **changes(found)},
    )


def changes(found: dict[str, Any]) -> dict[str, Any]:
    """The fields of a Subscription that a PATCH of these members changes; MessageError."""
    readers: Mapping[str, tuple[str, Callable[[], Any]]] = {
        "Context": ("context", lambda: _context(found)),
        "DeliveryRetryPolicy": (
            "policy",
            lambda: _choice(found, "DeliveryRetryPolicy", POLICIES, POLICIES[0]),
        ),
        "VerifyCertificate": (
            "verify_certificate",
            lambda: members.flag(found, "VerifyCertificate", False),
        ),
        "HttpHeaders": ("headers", lambda: _headers(found["HttpHeaders"])),
    }
    return {field: read() for name, (field, read) in readers.items() if name in found}


CHANGEABLE = ("Context", "DeliveryRetryPolicy", "VerifyCertificate", "HttpHeaders")
"""What a PATCH may hold."""


def _wanted(found: dict[str, Any]) -> Wanted:
    lists = {
        field: _texts(found[name], name, allowed)
        for name, (field, allowed) in _LISTS.items()
        if name in found
    }
    links = {field: _links(found[name], name) for name, field in _LINKS.items() if name in found}
    wanted = Wanted(
        format=_choice(found, "EventFormatType", FORMATS, "Event"),
        subordinate_resources=members.flag(found, "SubordinateResources", False),
        **lists,
        **links,
    )
    if wanted.format == "Event" and wanted.metric_report_definitions:
        text = "MetricReportDefinitions is for the EventFormatType MetricReport"
        raise MessageError(text, "/MetricReportDefinitions")
    return wanted


def _heartbeat_s(found: dict[str, Any]) -> float | None:
    """The interval of heartbeats; None where none are asked for."""
    if members.flag(found, "SendHeartbeat", False):
        given = {"HeartbeatIntervalMinutes": _HEARTBEAT_MINUTES, **found}
        # The bounds are the schema's.
        return 60.0 * members.whole_number(given, "HeartbeatIntervalMinutes", 1, 65535)
    if "HeartbeatIntervalMinutes" in found:
        text = "HeartbeatIntervalMinutes is for a subscription with SendHeartbeat"
        raise MessageError(text, "/HeartbeatIntervalMinutes")
    return None


def _choice(found: dict[str, Any], name: str, allowed: tuple[str, ...], default: str) -> str:
    value = found.get(name, default)
    if value not in allowed:
        raise MessageError(f"{name} is none of {', '.join(allowed)}", f"/{name}")
    return str(value)


def _context(found: dict[str, Any]) -> str | None:
    value = found["Context"]
    if value is not None and not (isinstance(value, str) and len(value) <= _MAX_TEXT):
        raise MessageError(f"Context is no text of up to {_MAX_TEXT} characters", "/Context")
    return value


def _array(value: object, name: str) -> list[Any]:
    if not isinstance(value, list) or len(value) > _MAX_ENTRIES:
        raise MessageError(f"{name} is no array of up to {_MAX_ENTRIES} entries", f"/{name}")
    return value


def _texts(value: object, name: str, allowed: tuple[str, ...] | None) -> tuple[str, ...]:
    entries = _array(value, name)
    for number, entry in enumerate(entries):
        if not isinstance(entry, str) or not 0 < len(entry) <= _MAX_TEXT:
            raise MessageError(f"{name}/{number} is no text", f"/{name}/{number}")
        if allowed is not None and entry not in allowed:
            text = f"{name}/{number} is none of {', '.join(allowed)}"
            raise MessageError(text, f"/{name}/{number}")
    return tuple(entries)


def _links(value: object, name: str) -> tuple[str, ...]:
    """Links, as objects or, as older clients write them, as text."""
    found = []
    for number, entry in enumerate(_array(value, name)):
        uri = entry.get("@odata.id") if isinstance(entry, dict) else entry
        if not isinstance(uri, str) or not uri.startswith("/redfish/v1"):
            text = f"{name}/{number} is no link to a resource of this service"
            raise MessageError(text, f"/{name}/{number}")
        found.append(uri.rstrip("/"))
    return tuple(found)


def _headers(value: object) -> dict[str, str]:
    """HttpHeaders: objects whose members are names and values of headers."""
    found: dict[str, str] = {}
    for number, entry in enumerate(_array(value, "HttpHeaders")):
        place = f"/HttpHeaders/{number}"
        if not isinstance(entry, dict):
            raise MessageError(f"HttpHeaders/{number} is no object", place)
        for name, text in entry.items():
            if not _HEADER_NAME.fullmatch(name) or name.lower() in _OWN_HEADERS:
                raise MessageError(f"{name[:64]!r} is no header that can be set", place)
            if not isinstance(text, str) or not _HEADER_VALUE.fullmatch(text):
                raise MessageError(f"the value of the header {name} cannot be sent", place)
            found[name] = text
    return found
