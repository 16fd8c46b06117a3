"""One file per Redfish schema."""

from __future__ import annotations

from bmc_ext.redfish.registry import Registry
from bmc_ext.redfish.resources import (
    account,
    collections,
    dcpi_service,
    event_destination,
    event_service,
    grid_status,
    host,
    json_schema_file,
    message_face,
    metric_report,
    power_events,
    power_history,
    power_realtime,
    sensor,
    service_root,
    session,
    telemetry_data,
    telemetry_service,
    thermal_status,
    workload,
)


def all_resources() -> Registry:
    """Everything that is served; the host's catch-all comes last."""
    files = (
        service_root, json_schema_file, session, account, collections, dcpi_service,
        power_realtime, power_history, power_events, thermal_status, sensor, grid_status, workload,
        message_face, event_service, event_destination, telemetry_service, metric_report,
        telemetry_data, host,
    )  # fmt: skip
    return Registry(file.routes for file in files)
