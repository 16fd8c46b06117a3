"""TelemetryService, and the definitions of what can be measured."""

from __future__ import annotations

from typing import Any

from bmc_ext.control.audited import audited
from bmc_ext.errors import MessageError, NotFoundError
from bmc_ext.redfish.action import REFERENCE, Parameter, checked, tell
from bmc_ext.redfish.context import Context, Request, Response
from bmc_ext.redfish.quantities import timestamp
from bmc_ext.redfish.registry import Routes
from bmc_ext.redfish.reports.definition import (
    DEFINITIONS,
    MAX_DEFINITIONS,
    MIN_INTERVAL_S,
    REPORTS,
)
from bmc_ext.redfish.reports.metrics import SENSORS
from bmc_ext.redfish.reports.reporter import METRIC_DEFINITIONS, SCHEMA
from bmc_ext.redfish.reports.trigger import TRIGGERS
from bmc_ext.redfish.resources.log_service import TRIGGER_LOG
from bmc_ext.security.identity import CONFIGURE_MANAGER, LOGIN

routes = Routes()

SERVICE = "/redfish/v1/TelemetryService"
DATA = f"{SERVICE}/TelemetryData"
OEM_DATA_TYPE = "DcpiPowerWindows"
_TEST = f"{SERVICE}/Actions/TelemetryService.SubmitTestMetricReport"
_TEST_INFO = f"{SERVICE}/SubmitTestMetricReportActionInfo"
_TEST_PARAMETERS = (
    Parameter("MetricReportName", required=True),
    Parameter("GeneratedMetricReportValues", "ObjectArray", required=True),
    Parameter("MetricReportValues"),
)
_MAX_TEST_VALUES = 500


@routes.get(SERVICE, LOGIN, schema="TelemetryService.v1_4_0.TelemetryService")
def telemetry_service(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """Where reports and their definitions live."""
    return {
        "Id": "TelemetryService",
        "Name": "Telemetry Service",
        "Status": {"State": "Enabled", "Health": "OK"},
        "ServiceEnabled": True,
        "MaxReports": MAX_DEFINITIONS,
        "MinCollectionInterval": f"PT{MIN_INTERVAL_S}S",
        "SupportedTelemetryDataTypes": ["OEM"],
        "SupportedOEMTelemetryDataTypes": [OEM_DATA_TYPE],
        "MetricDefinitions": {"@odata.id": METRIC_DEFINITIONS},
        "MetricReportDefinitions": {"@odata.id": DEFINITIONS},
        "MetricReports": {"@odata.id": REPORTS},
        "TelemetryData": {"@odata.id": DATA},
        "Triggers": {"@odata.id": TRIGGERS},
        "LogService": {"@odata.id": TRIGGER_LOG},
        "Actions": {
            "#TelemetryService.SubmitTestMetricReport": {"target": _TEST, REFERENCE: _TEST_INFO}
        },
    }


tell(routes, _TEST_INFO, _TEST_PARAMETERS)


@routes.post(_TEST, CONFIGURE_MANAGER)
def submit_test_report(context: Context, request: Request) -> Response:
    """Send a report that the client describes to all who subscribe to metric reports."""
    body = checked(request.json(), _TEST_PARAMETERS)
    name = body["MetricReportName"]
    values = body["GeneratedMetricReportValues"]
    if not 0 < len(values) <= _MAX_TEST_VALUES:
        text = f"GeneratedMetricReportValues is no array of 1 to {_MAX_TEST_VALUES} values"
        raise MessageError(text, "/GeneratedMetricReportValues")
    report = {
        "@odata.type": f"#{SCHEMA}",
        "Id": "Test",
        "Name": name,
        "Timestamp": timestamp(context.clock.unix_ns() / 1e9),
        "MetricValues": [_test_value(value, number) for number, value in enumerate(values)],
    }
    planned = {"report": name[:64]}
    who, correlation_id = request.who, request.correlation_id
    with audited(context.audit, "telemetry_service.test", who, correlation_id, planned):
        context.eventing.publish((report, f"{DEFINITIONS}/Test"))
    return Response(204)


def _test_value(value: dict[str, Any], number: int) -> dict[str, Any]:
    allowed = ("MetricId", "MetricValue", "Timestamp", "MetricProperty", "MetricDefinition")
    if set(value) - set(allowed):
        text = f"GeneratedMetricReportValues/{number} holds something else than {allowed}"
        raise MessageError(text, f"/GeneratedMetricReportValues/{number}")
    return value


@routes.get(
    METRIC_DEFINITIONS, LOGIN, schema="MetricDefinitionCollection.MetricDefinitionCollection"
)
def metric_definitions(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """One for each kind of reading."""
    ids = [quantity.reading_type for quantity in context.reporter.catalogue.by_quantity()]
    return {
        "Name": "Metric Definitions",
        "Members": [{"@odata.id": f"{METRIC_DEFINITIONS}/{one}"} for one in ids],
        "Members@odata.count": len(ids),
    }


@routes.get(
    f"{METRIC_DEFINITIONS}/{{metric}}", LOGIN, schema="MetricDefinition.v1_3_5.MetricDefinition"
)
def metric_definition(context: Context, request: Request) -> dict[str, Any]:
    """The sensors that measure one quantity, and in which unit."""
    wanted = request.params["metric"]
    for quantity, sensors in context.reporter.catalogue.by_quantity().items():
        if quantity.reading_type == wanted:
            return {
                "Id": wanted,
                "Name": f"{wanted} in {quantity.units}",
                "MetricType": "Counter" if wanted == "EnergykWh" else "Gauge",
                "MetricDataType": "Decimal",
                "Units": quantity.units,
                "IsLinear": True,
                "MetricProperties": [f"{SENSORS}/{{SensorId}}#/Reading"],
                "Wildcards": [{"Name": "SensorId", "Values": sensors}],
            }
    raise NotFoundError(f"no metric {wanted!r}")
