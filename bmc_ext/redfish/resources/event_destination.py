"""EventDestination: the subscriptions to events, and the streams that are open."""

from __future__ import annotations

import uuid
from typing import Any

from bmc_ext.control.audited import audited
from bmc_ext.redfish import members
from bmc_ext.redfish.action import REFERENCE, Parameter, checked, tell
from bmc_ext.redfish.context import Context, Request, Response
from bmc_ext.redfish.errors import RedfishError
from bmc_ext.redfish.events.eventing import SUBSCRIPTIONS, Stream
from bmc_ext.redfish.events.request_body import CHANGEABLE, changes, new_subscription
from bmc_ext.redfish.events.subscription import Subscription
from bmc_ext.redfish.registry import Routes
from bmc_ext.security.identity import CONFIGURE_COMPONENTS, LOGIN

routes = Routes()

_SCHEMA = "EventDestination.v1_15_1.EventDestination"
_ONE = f"{SUBSCRIPTIONS}/{{subscription}}"
_RESUME_PARAMETERS = (Parameter("DeliverBufferedEventDuration"),)
_ACTIONS = f"{_ONE}/Actions/EventDestination"


@routes.get(SUBSCRIPTIONS, LOGIN, schema="EventDestinationCollection.EventDestinationCollection")
def subscriptions(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """Those of clients first, then the open streams."""
    ids = [found.id for found in context.eventing.store.list()]
    ids += [stream.id for stream in context.eventing.streams()]
    return {
        "Name": "Event Subscriptions",
        "Members": [{"@odata.id": f"{SUBSCRIPTIONS}/{one}"} for one in ids],
        "Members@odata.count": len(ids),
    }


@routes.post(SUBSCRIPTIONS, CONFIGURE_COMPONENTS)
@routes.post(f"{SUBSCRIPTIONS}/Members", CONFIGURE_COMPONENTS)
def subscribe(context: Context, request: Request) -> Response:
    """Send events to a listener from now on."""
    config, owner = context.config.events, request.who.username
    found = new_subscription(request.json(), str(uuid.uuid4()), config, owner)
    planned = {"subscription": found.id, "destination": found.destination[:256]}
    who, correlation_id = request.who, request.correlation_id
    with audited(context.audit, "subscription.create", who, correlation_id, planned):
        context.eventing.subscribe(found)
    uri = f"{SUBSCRIPTIONS}/{found.id}"
    answer = {"@odata.type": f"#{_SCHEMA}", "@odata.id": uri, **_body(found)}
    return Response(201, answer, {"Location": uri})


@routes.get(_ONE, LOGIN, schema=_SCHEMA)
def subscription(context: Context, request: Request) -> dict[str, Any]:
    """One subscription or open stream."""
    wanted = request.params["subscription"]
    for stream in context.eventing.streams():
        if stream.id == wanted:
            return _of_stream(stream)
    return _body(context.eventing.store.get(wanted))


@routes.patch(_ONE, CONFIGURE_COMPONENTS)
def change_subscription(context: Context, request: Request) -> dict[str, Any]:
    """Change what a client may: Context, policy, verification, headers."""
    found = _pushed(context, request)
    changed = changes(members.json_object(request.json(), CHANGEABLE, _body(found)))
    planned = {"subscription": found.id, "properties": sorted(changed)}
    who, correlation_id = request.who, request.correlation_id
    with audited(context.audit, "subscription.change", who, correlation_id, planned):
        context.eventing.change(found.id, **changed)
    return _body(context.eventing.store.get(found.id))


@routes.delete(_ONE, CONFIGURE_COMPONENTS)
def unsubscribe(context: Context, request: Request) -> Response:
    """Send no more; a stream is closed."""
    subscription_id = request.params["subscription"]
    subscription(context, request)  # NotFoundError before anything is logged as planned
    planned = {"subscription": subscription_id}
    who, correlation_id = request.who, request.correlation_id
    with audited(context.audit, "subscription.delete", who, correlation_id, planned):
        context.eventing.unsubscribe(subscription_id)
    return Response(204)


@routes.post(f"{_ACTIONS}.SuspendSubscription", CONFIGURE_COMPONENTS)
def suspend(context: Context, request: Request) -> Response:
    """Keep the subscription and send nothing; what happens meanwhile is not sent later."""
    return _set_suspended(context, request, True)


@routes.post(f"{_ACTIONS}.ResumeSubscription", CONFIGURE_COMPONENTS)
def resume(context: Context, request: Request) -> Response:
    """Send again; nothing was kept meanwhile, so DeliverBufferedEventDuration asks for nothing."""
    return _set_suspended(context, request, False)


def _set_suspended(context: Context, request: Request, suspended: bool) -> Response:
    found = _pushed(context, request)
    checked(request.json() if request.body else {}, () if suspended else _RESUME_PARAMETERS)
    verb = "suspend" if suspended else "resume"
    planned = {"subscription": found.id}
    who, correlation_id = request.who, request.correlation_id
    with audited(context.audit, f"subscription.{verb}", who, correlation_id, planned):
        context.eventing.change(found.id, suspended=suspended)
    context.eventing.note_resource(
        "ResourceChanged", f"{SUBSCRIPTIONS}/{found.id}", "EventDestination"
    )
    return Response(204)


def _pushed(context: Context, request: Request) -> Subscription:
    """The subscription that a client made; a stream has nothing that could be changed."""
    wanted = request.params["subscription"]
    if any(stream.id == wanted for stream in context.eventing.streams()):
        raise RedfishError(405, "an open stream can only be deleted")
    return context.eventing.store.get(wanted)


tell(routes, f"{_ONE}/ResumeSubscriptionActionInfo", _RESUME_PARAMETERS, _pushed)


def _body(found: Subscription) -> dict[str, Any]:
    uri = f"{SUBSCRIPTIONS}/{found.id}"
    health = "Warning" if found.suspended else "OK"
    return {
        "Id": found.id,
        "Name": f"Subscription of {found.destination}",
        "Destination": found.destination,
        "Protocol": "Redfish",
        "SubscriptionType": "RedfishEvent",
        "Context": found.context,
        "DeliveryRetryPolicy": found.policy,
        "VerifyCertificate": found.verify_certificate,
        "HttpHeaders": [],
        "IncludeOriginOfCondition": found.include_origin,
        **_heartbeat(found),
        "Status": {"State": "Disabled" if found.suspended else "Enabled", "Health": health},
        **_filters(found),
        "Actions": {
            "#EventDestination.ResumeSubscription": {
                "target": f"{uri}/Actions/EventDestination.ResumeSubscription",
                REFERENCE: f"{uri}/ResumeSubscriptionActionInfo",
            },
            "#EventDestination.SuspendSubscription": {
                "target": f"{uri}/Actions/EventDestination.SuspendSubscription"
            },
        },
    }


def _heartbeat(found: Subscription) -> dict[str, Any]:
    if found.heartbeat_s is None:
        return {"SendHeartbeat": False}
    return {"SendHeartbeat": True, "HeartbeatIntervalMinutes": round(found.heartbeat_s / 60)}


def _filters(found: Subscription) -> dict[str, Any]:
    """What the subscriber asked for; what it did not ask for filters nothing."""
    wanted = found.wanted
    links = {
        "OriginResources": wanted.origin_resources,
        "MetricReportDefinitions": wanted.metric_report_definitions,
    }
    shown: dict[str, Any] = {
        "EventFormatType": wanted.format,
        "SubordinateResources": wanted.subordinate_resources,
        "RegistryPrefixes": list(wanted.registry_prefixes),
        "ExcludeRegistryPrefixes": list(wanted.exclude_registry_prefixes),
        "MessageIds": list(wanted.message_ids),
        "ExcludeMessageIds": list(wanted.exclude_message_ids),
        "ResourceTypes": list(wanted.resource_types),
        "Severities": list(wanted.severities),
        **({"EventTypes": list(wanted.event_types)} if wanted.event_types else {}),
    }
    for name, uris in links.items():
        if uris:
            shown[name] = [{"@odata.id": uri} for uri in uris]
    return shown


def _of_stream(stream: Stream) -> dict[str, Any]:
    return {
        "Id": stream.id,
        "Name": f"Event stream to {stream.peer}",
        "Destination": f"redfish-sse://{stream.peer}",
        "Protocol": "Redfish",
        "SubscriptionType": "SSE",
        "Context": stream.context,
        "Status": {"State": "Enabled", "Health": "OK"},
    }
