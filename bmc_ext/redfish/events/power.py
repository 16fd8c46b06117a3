"""Events of power and voltage in the log, as messages of our registry."""

from __future__ import annotations

from bmc_ext.redfish.events.message import DCPI, Happening, happening
from bmc_ext.sampling.events import EventKind
from bmc_ext.telemetry.event_log import LoggedEvent

ORIGIN = "/redfish/v1/dcpi/power/events"
ORIGIN_TYPE = "DcpiPowerEvents"

_BEGINNINGS = {
    EventKind.VOLTAGE_DIP: "VoltageDip",
    EventKind.VOLTAGE_SWELL: "VoltageSwell",
    EventKind.VOLTAGE_INTERRUPTION: "VoltageInterruption",
}


def of_logged(logged: LoggedEvent) -> Happening:
    """What is told of a record of the log: of an event that was detected, or was seen to end."""
    event = logged.event
    where = logged.feed_id or "all feeds"
    if event.kind is EventKind.POWER_CHANGE:
        key = "PowerChangeEnded" if event.is_over else "PowerChanged"
        args: list[object] = [where, event.change_w]
    else:
        key = "VoltageRestored" if event.is_over else _BEGINNINGS[event.kind]
        args = [f"{where} {'/'.join(event.phases)}".rstrip(), event.extreme_v]
    told_ns = event.end_ns if event.is_over and event.end_ns is not None else event.detected_ns
    return happening(
        f"{DCPI}.{key}", args, at_s=told_ns / 1e9, origin=ORIGIN, origin_type=ORIGIN_TYPE
    )
