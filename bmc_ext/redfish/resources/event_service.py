"""EventService: who is told what, by push and by server-sent events."""

from __future__ import annotations

import dataclasses
from typing import Any

from bmc_ext.clock import parse_iso8601
from bmc_ext.control.audited import audited
from bmc_ext.errors import MessageError
from bmc_ext.redfish import members
from bmc_ext.redfish.action import REFERENCE, Parameter, checked, tell
from bmc_ext.redfish.context import Context, Request, Response
from bmc_ext.redfish.errors import RedfishError
from bmc_ext.redfish.events.eventing import SUBSCRIPTIONS
from bmc_ext.redfish.events.message import (
    EVENT_TYPES,
    REGISTRY_PREFIXES,
    SEVERITIES,
    Happening,
    happening,
    is_known,
)
from bmc_ext.redfish.events.subscription import FORMATS
from bmc_ext.redfish.host_members import all_types
from bmc_ext.redfish.registry import Routes
from bmc_ext.security.identity import CONFIGURE_MANAGER, LOGIN

routes = Routes()

SERVICE = "/redfish/v1/EventService"
SSE = f"{SERVICE}/SSE"
"""Where server-sent events are streamed; the front answers there."""

_TEST = f"{SERVICE}/Actions/EventService.SubmitTestEvent"
_TEST_INFO = f"{SERVICE}/SubmitTestEventActionInfo"
_TEST_PARAMETERS = (
    Parameter("EventType", allowable=EVENT_TYPES),
    Parameter("EventId"),
    Parameter("EventTimestamp"),
    Parameter("EventGroupId", "Number"),
    Parameter("Severity", allowable=SEVERITIES),
    Parameter("MessageSeverity", allowable=SEVERITIES),
    Parameter("Message"),
    Parameter("MessageId"),
    Parameter("MessageArgs", "StringArray"),
    Parameter("OriginOfCondition"),
)
_RETRIES = {"DeliveryRetryAttempts": (0, 100), "DeliveryRetryIntervalSeconds": (1, 3600)}
_FIELDS = {
    "DeliveryRetryAttempts": "retry_attempts",
    "DeliveryRetryIntervalSeconds": "retry_interval_s",
}


@routes.get(SERVICE, LOGIN, schema="EventService.v1_11_0.EventService")
def event_service(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """What can be subscribed to, and how hard a push is tried."""
    settings = context.eventing.settings
    return {
        "Id": "EventService",
        "Name": "Event Service",
        "ServiceEnabled": settings.enabled,
        "Status": {"State": "Enabled" if settings.enabled else "Disabled", "Health": "OK"},
        "DeliveryRetryAttempts": settings.retry_attempts,
        "DeliveryRetryIntervalSeconds": settings.retry_interval_s,
        "EventFormatTypes": list(FORMATS),
        "RegistryPrefixes": list(REGISTRY_PREFIXES),
        "ResourceTypes": sorted({name.partition(".")[0] for name in all_types(context)}),
        "Severities": list(SEVERITIES),
        "SubordinateResourcesSupported": True,
        "IncludeOriginOfConditionSupported": True,
        "SSEIncludeOriginOfConditionSupported": True,
        "ExcludeRegistryPrefix": True,
        "ExcludeMessageId": True,
        "ServerSentEventUri": SSE,
        "SSEFilterPropertiesSupported": {
            "EventFormatType": True,
            "MessageId": True,
            "MetricReportDefinition": True,
            "OriginResource": True,
            "RegistryPrefix": True,
            "ResourceType": True,
            "SubordinateResources": False,
        },
        "Subscriptions": {"@odata.id": SUBSCRIPTIONS},
        "Actions": {"#EventService.SubmitTestEvent": {"target": _TEST, REFERENCE: _TEST_INFO}},
    }


@routes.patch(SERVICE, CONFIGURE_MANAGER)
def change_event_service(context: Context, request: Request) -> dict[str, Any]:
    """Switch it on or off, or change how often and at what distance a push is tried again."""
    known = ("ServiceEnabled", *_RETRIES)
    body = members.json_object(request.json(), known, event_service(context, request))
    settings = context.eventing.settings
    changed: dict[str, Any] = {}
    if "ServiceEnabled" in body:
        changed["enabled"] = members.flag(body, "ServiceEnabled", True)
    for name, (least, most) in _RETRIES.items():
        if name not in body:
            continue
        value = body[name]
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise MessageError(f"{name} is no number from {least} to {most}", f"/{name}")
        changed[_FIELDS[name]] = value
    who, correlation_id = request.who, request.correlation_id
    with audited(context.audit, "event_service.change", who, correlation_id, changed):
        context.eventing.store.change_settings(dataclasses.replace(settings, **changed))
    return event_service(context, request)


@routes.get(SSE, LOGIN)
def not_a_stream(context: Context, request: Request) -> Response:  # noqa: ARG001
    """What reaches this has asked for anything but a stream."""
    raise RedfishError(406, f"{request.path} answers GET with text/event-stream only")


tell(routes, _TEST_INFO, _TEST_PARAMETERS)


@routes.post(_TEST, CONFIGURE_MANAGER)
def submit_test_event(context: Context, request: Request) -> Response:
    """Send an event to all who subscribe to its like; without MessageId a plain test message."""
    body = checked(request.json() if request.body else {}, _TEST_PARAMETERS)
    event = _test_event(body, context.clock.unix_ns() / 1e9)
    planned = {"message_id": event.message_id[:64]}
    who, correlation_id = request.who, request.correlation_id
    with audited(context.audit, "event_service.test", who, correlation_id, planned):
        context.eventing.publish(event)
    return Response(204)


def _test_event(body: dict[str, Any], now_s: float) -> Happening:
    """The event that the client describes; EventId and EventGroupId are the service's to give."""
    message_id = body.get("MessageId", "ResourceEvent.1.4.TestMessage")
    args = body.get("MessageArgs", [])
    try:
        known = happening(message_id, args, at_s=now_s) if is_known(message_id) else None
    except IndexError:
        text = f"MessageArgs has fewer entries than {message_id} takes"
        raise MessageError(text, "/MessageArgs") from None
    usual = known.severity if known else "OK"
    return Happening(
        message_id,
        tuple(args),
        body.get("Message", known.text if known else "Test event."),
        body.get("MessageSeverity", body.get("Severity", usual)),
        body.get("EventType", known.event_type if known else "Other"),
        _time(body, now_s),
        body.get("OriginOfCondition") or None,
    )


def _time(body: dict[str, Any], now_s: float) -> float:
    if "EventTimestamp" not in body:
        return now_s
    try:
        return parse_iso8601(body["EventTimestamp"])
    except ValueError as error:
        text = "EventTimestamp is no date-time with offset"
        raise MessageError(text, "/EventTimestamp") from error
