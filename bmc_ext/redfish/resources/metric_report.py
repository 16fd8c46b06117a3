"""MetricReportDefinition and MetricReport: what clients want reported, and what came of it."""

from __future__ import annotations

import uuid
from typing import Any

from bmc_ext.control.audited import audited
from bmc_ext.redfish import members
from bmc_ext.redfish.context import Context, Request, Response
from bmc_ext.redfish.partial_update import merged
from bmc_ext.redfish.registry import Routes
from bmc_ext.redfish.reports.definition import DEFINITIONS, REPORTS, Entry, ReportDefinition
from bmc_ext.redfish.reports.reporter import SCHEMA
from bmc_ext.redfish.reports.request_body import CHANGEABLE, changed, new_definition
from bmc_ext.security.identity import CONFIGURE_COMPONENTS, LOGIN

routes = Routes()

_DEFINITION = "MetricReportDefinition.v1_4_6.MetricReportDefinition"
_ONE = f"{DEFINITIONS}/{{definition}}"
_ENTRIES = ("Metrics", "MetricProperties")


@routes.get(
    DEFINITIONS,
    LOGIN,
    schema="MetricReportDefinitionCollection.MetricReportDefinitionCollection",
)
def definitions(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """All of them."""
    found = context.reporter.store.list()
    return {
        "Name": "Metric Report Definitions",
        "Members": [{"@odata.id": one.uri} for one in found],
        "Members@odata.count": len(found),
    }


@routes.post(DEFINITIONS, CONFIGURE_COMPONENTS)
@routes.post(f"{DEFINITIONS}/Members", CONFIGURE_COMPONENTS)
def create_definition(context: Context, request: Request) -> Response:
    """Report from now on."""
    found = new_definition(request.json(), str(uuid.uuid4()), context.reporter.catalogue)
    planned = {"definition": found.id, "type": found.type, "values": found.metrics}
    who, correlation_id = request.who, request.correlation_id
    with audited(context.audit, "metric_report.define", who, correlation_id, planned):
        context.reporter.store.add(found)
    answer = {"@odata.type": f"#{_DEFINITION}", "@odata.id": found.uri, **_body(found)}
    return Response(201, answer, {"Location": found.uri})


@routes.get(_ONE, LOGIN, schema=_DEFINITION)
def definition(context: Context, request: Request) -> dict[str, Any]:
    """One definition."""
    return _body(context.reporter.store.get(request.params["definition"]))


@routes.patch(_ONE, CONFIGURE_COMPONENTS)
def change_definition(context: Context, request: Request) -> dict[str, Any]:
    """Report something else, or at another time; the report begins anew."""
    before = context.reporter.store.get(request.params["definition"])
    present = _body(before)
    body = members.json_object(request.json(), CHANGEABLE, present)
    wanted = {name: merged(present.get(name), value) for name, value in body.items()}
    if not wanted.keys().isdisjoint(_ENTRIES):
        # Both say what is reported: who writes one of them leaves the other as it is.
        wanted = {name: present[name] for name in _ENTRIES if name in present} | wanted
    after = changed(before, wanted, context.reporter.catalogue)
    planned = {"definition": before.id, "properties": sorted(body)}
    who, correlation_id = request.who, request.correlation_id
    with audited(context.audit, "metric_report.change", who, correlation_id, planned):
        context.reporter.store.replace(after)
    return _body(after)


@routes.delete(_ONE, CONFIGURE_COMPONENTS)
def delete_definition(context: Context, request: Request) -> Response:
    """Report no more; the report is gone, too."""
    found = context.reporter.store.get(request.params["definition"])
    planned = {"definition": found.id}
    who, correlation_id = request.who, request.correlation_id
    with audited(context.audit, "metric_report.delete", who, correlation_id, planned):
        context.reporter.store.remove(found.id)
    return Response(204)


@routes.get(REPORTS, LOGIN, schema="MetricReportCollection.MetricReportCollection")
def reports(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """The reports of the definitions that keep one."""
    ids = context.reporter.ids()
    return {
        "Name": "Metric Reports",
        "Members": [{"@odata.id": f"{REPORTS}/{one}"} for one in ids],
        "Members@odata.count": len(ids),
    }


@routes.get(
    f"{REPORTS}/{{report}}",
    LOGIN,
    schema=SCHEMA,
    volatile=("MetricValues", "Timestamp", "Oem"),
)
def report(context: Context, request: Request) -> dict[str, Any]:
    """The newest report: all values of one window, equal to the Sensors of that window."""
    return context.reporter.report(request.params["report"])


def _body(found: ReportDefinition) -> dict[str, Any]:
    kept = found.type == "OnRequest" or "LogToMetricReportsCollection" in found.actions
    plain = [e for e in found.entries if e.metric_id is None and e.function is None]
    metrics = [_metric(entry) for entry in found.entries if entry not in plain]
    properties = [uri for entry in plain for uri in entry.properties]
    appends = found.updates != "Overwrite"
    return {
        "Id": found.id,
        "Name": found.name,
        "MetricReportDefinitionType": found.type,
        "MetricReportDefinitionEnabled": found.enabled,
        "Status": {"State": "Enabled" if found.enabled else "Disabled", "Health": "OK"},
        **(
            {}
            if found.interval_s is None
            else {"Schedule": {"RecurrenceInterval": f"PT{found.interval_s:.10g}S"}}
        ),
        "ReportActions": list(found.actions),
        "ReportUpdates": found.updates,
        **({"AppendLimit": found.append_limit} if appends else {}),
        "SuppressRepeatedMetricValue": found.suppress_repeated,
        **({"Metrics": metrics} if metrics else {}),
        **({"MetricProperties": properties} if properties else {}),
        **(
            {"Wildcards": [{"Name": n, "Values": list(v)} for n, v in found.wildcards]}
            if found.wildcards
            else {}
        ),
        **({"MetricReport": {"@odata.id": found.report_uri}} if kept else {}),
    }


def _metric(entry: Entry) -> dict[str, Any]:
    shown: dict[str, Any] = {"MetricProperties": list(entry.properties)}
    if entry.metric_id is not None:
        shown["MetricId"] = entry.metric_id
    if entry.function is not None:
        shown["CollectionFunction"] = entry.function
        shown["CollectionDuration"] = f"PT{entry.duration_s:.10g}S"
        shown["CollectionTimeScope"] = "Interval"
    return shown
