"""Triggers: thresholds and states of readings that clients want to be told of."""

from __future__ import annotations

import uuid
from typing import Any

from bmc_ext.control.audited import audited
from bmc_ext.redfish import members
from bmc_ext.redfish.context import Context, Request, Response
from bmc_ext.redfish.partial_update import merged
from bmc_ext.redfish.registry import Routes
from bmc_ext.redfish.reports.trigger import TRIGGERS, DiscreteValue, Threshold, Trigger
from bmc_ext.redfish.reports.trigger_body import CHANGEABLE, changed, new_trigger
from bmc_ext.security.identity import CONFIGURE_COMPONENTS, LOGIN

routes = Routes()

_SCHEMA = "Triggers.v1_4_0.Triggers"
_ONE = f"{TRIGGERS}/{{trigger}}"


@routes.get(TRIGGERS, LOGIN, schema="TriggersCollection.TriggersCollection")
def triggers(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """All of them."""
    found = context.triggers.store.list()
    return {
        "Name": "Triggers",
        "Members": [{"@odata.id": one.uri} for one in found],
        "Members@odata.count": len(found),
    }


@routes.post(TRIGGERS, CONFIGURE_COMPONENTS)
@routes.post(f"{TRIGGERS}/Members", CONFIGURE_COMPONENTS)
def create_trigger(context: Context, request: Request) -> Response:
    """Follow these readings from now on."""
    reporter = context.reporter
    found = new_trigger(request.json(), str(uuid.uuid4()), reporter.catalogue, reporter.store)
    planned = {"trigger": found.id, "actions": list(found.actions)}
    who, correlation_id = request.who, request.correlation_id
    with audited(context.audit, "trigger.define", who, correlation_id, planned):
        context.triggers.store.add(found)
    answer = {"@odata.type": f"#{_SCHEMA}", "@odata.id": found.uri, **_body(context, found)}
    return Response(201, answer, {"Location": found.uri})


@routes.get(_ONE, LOGIN, schema=_SCHEMA)
def trigger(context: Context, request: Request) -> dict[str, Any]:
    """One trigger."""
    return _body(context, context.triggers.store.get(request.params["trigger"]))


@routes.patch(_ONE, CONFIGURE_COMPONENTS)
def change_trigger(context: Context, request: Request) -> dict[str, Any]:
    """Follow something else; what was seen before is forgotten."""
    before = context.triggers.store.get(request.params["trigger"])
    present = _body(context, before)
    body = members.json_object(request.json(), CHANGEABLE, present)
    wanted = {name: merged(present.get(name), value) for name, value in body.items()}
    after = changed(before, wanted, context.reporter.catalogue, context.reporter.store)
    planned = {"trigger": before.id, "properties": sorted(body)}
    who, correlation_id = request.who, request.correlation_id
    with audited(context.audit, "trigger.change", who, correlation_id, planned):
        context.triggers.store.replace(after)
    return _body(context, after)


@routes.delete(_ONE, CONFIGURE_COMPONENTS)
def delete_trigger(context: Context, request: Request) -> Response:
    """Follow it no more."""
    found = context.triggers.store.get(request.params["trigger"])
    who, correlation_id = request.who, request.correlation_id
    with audited(context.audit, "trigger.delete", who, correlation_id, {"trigger": found.id}):
        context.triggers.store.remove(found.id)
    return Response(204)


def _body(context: Context, found: Trigger) -> dict[str, Any]:
    defined = {definition.uri for definition in context.reporter.store.list()}
    reports = [{"@odata.id": uri} for uri in found.reports if uri in defined]
    shown: dict[str, Any] = {
        "Id": found.id,
        "Name": found.name,
        "MetricType": "Numeric" if found.is_numeric else "Discrete",
        "TriggerEnabled": found.enabled,
        "TriggerActions": list(found.actions),
        "MetricProperties": list(found.properties),
        "Status": {"State": "Enabled" if found.enabled else "Disabled", "Health": "OK"},
        "Links": {"MetricReportDefinitions": reports},
    }
    if found.wildcards:
        shown["Wildcards"] = [{"Name": n, "Values": list(v)} for n, v in found.wildcards]
    if found.is_numeric:
        shown["NumericThresholds"] = {one.level: _threshold(one) for one in found.thresholds}
    else:
        shown["DiscreteTriggerCondition"] = found.condition
        shown["DiscreteTriggers"] = [_discrete(one) for one in found.values]
    return shown


def _threshold(one: Threshold) -> dict[str, Any]:
    return {
        "Reading": one.reading,
        "Activation": one.activation,
        "DwellTime": f"PT{one.dwell_s:.10g}S",
    }


def _discrete(one: DiscreteValue) -> dict[str, Any]:
    return {
        "Name": one.name,
        "Value": one.value,
        "DwellTime": f"PT{one.dwell_s:.10g}S",
        "Severity": one.severity,
    }
