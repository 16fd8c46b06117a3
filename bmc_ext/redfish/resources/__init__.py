"""One file per Redfish schema."""

from __future__ import annotations

from bmc_ext.redfish.registry import Registry
from bmc_ext.redfish.resources import (
    account,
    certificate,
    chassis_subsystem,
    collections,
    dcpi_service,
    ethernet_interface,
    grid_status,
    host,
    json_schema_file,
    log_service,
    manager,
    manager_network_protocol,
    message_face,
    message_registry_file,
    power_events,
    power_history,
    power_realtime,
    sensor,
    service_root,
    session,
    task,
    thermal_status,
    update_service,
    workload,
)


def all_resources() -> Registry:
    """Everything that is served; the host's catch-all comes last."""
    files = (
        service_root, json_schema_file, session, account, collections, dcpi_service,
        power_realtime, power_history, power_events, thermal_status, sensor, grid_status, workload,
        chassis_subsystem, manager, ethernet_interface, manager_network_protocol, log_service,
        message_registry_file, certificate, task, update_service, message_face, host,
    )  # fmt: skip
    return Registry(file.routes for file in files)
