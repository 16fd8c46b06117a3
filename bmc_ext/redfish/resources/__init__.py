"""One file per Redfish schema."""

from __future__ import annotations

from collections.abc import Iterable

from bmc_ext.redfish.registry import Registry, Routes
from bmc_ext.redfish.resources import (
    account,
    battery,
    certificate,
    chassis,
    circuit,
    collections,
    control,
    coolant_connector,
    cooling_loop,
    cooling_parts,
    cooling_unit,
    dcpi_service,
    environment_metrics,
    ethernet_interface,
    event_destination,
    event_service,
    grid_status,
    host,
    json_schema_file,
    leak_detection,
    leak_detector,
    log_service,
    manager,
    manager_network_protocol,
    message_face,
    message_registry_file,
    metric_report,
    power,
    power_distribution,
    power_equipment,
    power_events,
    power_history,
    power_realtime,
    power_stream,
    pump,
    rack_pdu,
    sensor,
    service_root,
    session,
    task,
    telemetry_data,
    telemetry_service,
    thermal,
    thermal_equipment,
    thermal_status,
    thermal_subsystem,
    triggers,
    update_service,
    workload,
)


def all_resources(configured: Iterable[Routes] = (), *, legacy: bool = True) -> Registry:
    """Everything that is served, with what the configuration adds; the host's catch-all is last.

    Types that the standard has deprecated as a whole only with `legacy`.
    """
    deprecated = (power, thermal) if legacy else ()
    files = (
        service_root, json_schema_file, session, account, collections, chassis, dcpi_service,
        power_realtime, power_history, power_events, power_stream, thermal_status, sensor,
        grid_status, workload,
        thermal_subsystem, manager, ethernet_interface, manager_network_protocol, log_service,
        message_registry_file, certificate, task, update_service,
        thermal_equipment, cooling_unit, coolant_connector, pump, cooling_loop, leak_detection,
        leak_detector,
        cooling_parts, control, environment_metrics, power_equipment, power_distribution, circuit,
        rack_pdu, battery,
        message_face, event_service, event_destination, telemetry_service, metric_report,
        triggers, telemetry_data, *deprecated, host,
    )  # fmt: skip
    return Registry([*configured, *(file.routes for file in files)])
