"""LogService: the events of power, the audit log and what triggers told, newest first."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from bmc_ext.clock import iso8601
from bmc_ext.control.audited import audited
from bmc_ext.errors import NotFoundError
from bmc_ext.redfish.action import REFERENCE, Parameter, checked, tell
from bmc_ext.redfish.context import Context, Request, Response
from bmc_ext.redfish.dcpi_messages import message
from bmc_ext.redfish.paging import Pages, paged
from bmc_ext.redfish.registry import Routes
from bmc_ext.redfish.reports.trigger_watch import LOG_CAPACITY, Logged
from bmc_ext.redfish.resources.manager import OWN
from bmc_ext.sampling.events import EventKind
from bmc_ext.security.audit_pages import MAX_PAGED, AuditPages
from bmc_ext.security.identity import CONFIGURE_MANAGER, LOGIN
from bmc_ext.telemetry.event_log import CAPACITY, LoggedEvent

routes = Routes()

LOGS = f"{OWN}/LogServices"
EVENTS = f"{LOGS}/EventLog"
AUDIT = f"{LOGS}/Audit"
TRIGGER_LOG = f"{LOGS}/Triggers"
_CLEAR = f"{EVENTS}/Actions/LogService.ClearLog"
_CLEAR_INFO = f"{EVENTS}/ClearLogActionInfo"
_CLEAR_PARAMETERS: tuple[Parameter, ...] = ()

_ENTRY = "LogEntry.v1_17_0.LogEntry"
_ENTRIES = "LogEntryCollection.LogEntryCollection"
_READINGS = ("Members", "Members@odata.count", "Members@odata.nextLink")
_TROUBLE = ("refused", "failed", "torn", "left_out")

_EVENTS = {
    EventKind.POWER_CHANGE: "PowerChanged",
    EventKind.VOLTAGE_DIP: "VoltageDip",
    EventKind.VOLTAGE_SWELL: "VoltageSwell",
    EventKind.VOLTAGE_INTERRUPTION: "VoltageInterruption",
}


@routes.get(LOGS, LOGIN, schema="LogServiceCollection.LogServiceCollection")
def log_services(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """What the sensors saw, what was commanded, and what triggers told."""
    return {
        "Name": "Log Services",
        "Members": [{"@odata.id": uri} for uri in (EVENTS, AUDIT, TRIGGER_LOG)],
        "Members@odata.count": 3,
    }


@routes.get(EVENTS, LOGIN, schema="LogService.v1_9_0.LogService", volatile=("DateTime",))
def event_log(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """Changes of power that disturb the grid, dips, swells and interruptions."""
    log = _Log("EventLog", "Event log", "Event", ("Operations",), CAPACITY)
    clear = {"target": _CLEAR, REFERENCE: _CLEAR_INFO}
    return {**_service(context, log), "Actions": {"#LogService.ClearLog": clear}}


tell(routes, _CLEAR_INFO, _CLEAR_PARAMETERS)


@routes.post(_CLEAR, CONFIGURE_MANAGER)
def clear_event_log(context: Context, request: Request) -> Response:
    """Forget the events, on every face; the audit log is kept for who has to answer for it."""
    checked(request.json() if request.body else {}, _CLEAR_PARAMETERS)
    with audited(context.audit, "event_log.clear", request.who, request.correlation_id, {}):
        context.events.log.clear()
    return Response(204)


@routes.get(AUDIT, LOGIN, schema="LogService.v1_9_0.LogService", volatile=("DateTime",))
def audit_log(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """Who came in and what was commanded; the file keeps more than the log service shows."""
    return _service(context, _Log("Audit", "Audit log", "OEM", ("Security",), MAX_PAGED))


@routes.get(TRIGGER_LOG, LOGIN, schema="LogService.v1_9_0.LogService", volatile=("DateTime",))
def trigger_log(context: Context, request: Request) -> dict[str, Any]:  # noqa: ARG001
    """What triggers with LogToLogService have told since the service began."""
    log = _Log("Triggers", "Log of triggers", "Event", ("Telemetry",), LOG_CAPACITY)
    return _service(context, log)


@dataclass(frozen=True, slots=True)
class _Log:
    id: str
    name: str
    entry_type: str
    purposes: tuple[str, ...]
    capacity: int


def _service(context: Context, log: _Log) -> dict[str, Any]:
    return {
        "Id": log.id,
        "Name": log.name,
        "ServiceEnabled": True,
        "LogEntryType": log.entry_type,
        "LogPurposes": list(log.purposes),
        "MaxNumberOfRecords": log.capacity,
        "OverWritePolicy": "WrapsWhenFull",
        "DateTime": iso8601(context.clock.unix_ns() / 1e9),
        "DateTimeLocalOffset": "+00:00",
        "Status": {"State": "Enabled", "Health": "OK"},
        "Entries": {"@odata.id": f"{LOGS}/{log.id}/Entries"},
    }


@routes.get(f"{EVENTS}/Entries", LOGIN, schema=_ENTRIES, volatile=_READINGS)
def event_entries(context: Context, request: Request) -> dict[str, Any]:
    """The events, newest first."""
    found = context.events.log.newest(CAPACITY)

    def read(skip: int, limit: int) -> list[dict[str, Any]]:
        return [_member(EVENTS, _event(entry)) for entry in found[skip : skip + limit]]

    uri = f"{EVENTS}/Entries"
    return {"Name": "Events", **paged(request, uri, Pages(len(found), read))}


@routes.get(f"{EVENTS}/Entries/{{entry}}", LOGIN, schema=_ENTRY)
def event_entry(context: Context, request: Request) -> dict[str, Any]:
    """One event."""
    number = _number(request)
    for logged in context.events.log.newest(CAPACITY):
        if logged.sequence == number:
            return _event(logged)
    raise NotFoundError(f"no event {number}")


@routes.get(f"{AUDIT}/Entries", CONFIGURE_MANAGER, schema=_ENTRIES, volatile=_READINGS)
def audit_entries(context: Context, request: Request) -> dict[str, Any]:
    """The audit entries, newest first."""
    log = AuditPages(context.audit)

    def read(skip: int, limit: int) -> list[dict[str, Any]]:
        return [_member(AUDIT, _audited(entry)) for entry in log.newest(skip, limit)]

    uri = f"{AUDIT}/Entries"
    return {"Name": "Audit entries", **paged(request, uri, Pages(log.count, read))}


@routes.get(f"{AUDIT}/Entries/{{entry}}", CONFIGURE_MANAGER, schema=_ENTRY)
def audit_entry(context: Context, request: Request) -> dict[str, Any]:
    """One audit entry."""
    return _audited(AuditPages(context.audit).entry(_number(request)))


@routes.get(f"{TRIGGER_LOG}/Entries", LOGIN, schema=_ENTRIES, volatile=_READINGS)
def trigger_entries(context: Context, request: Request) -> dict[str, Any]:
    """What triggers told, newest first."""
    found = context.triggers.logged()

    def read(skip: int, limit: int) -> list[dict[str, Any]]:
        return [_member(TRIGGER_LOG, _triggered(entry)) for entry in found[skip : skip + limit]]

    uri = f"{TRIGGER_LOG}/Entries"
    return {"Name": "Trigger entries", **paged(request, uri, Pages(len(found), read))}


@routes.get(f"{TRIGGER_LOG}/Entries/{{entry}}", LOGIN, schema=_ENTRY)
def trigger_entry(context: Context, request: Request) -> dict[str, Any]:
    """One of them."""
    for logged in context.triggers.logged():
        if logged.id == request.params["entry"]:
            return _triggered(logged)
    raise NotFoundError(f"no entry {request.params['entry'][:20]!r}")


def _number(request: Request) -> int:
    text = request.params["entry"]
    if not re.fullmatch("[1-9][0-9]{0,17}", text):
        raise NotFoundError(f"no entry {text[:20]!r}")
    return int(text)


def _member(log: str, body: dict[str, Any]) -> dict[str, Any]:
    """An entry as its collection shows it: whole."""
    return {"@odata.type": f"#{_ENTRY}", "@odata.id": f"{log}/Entries/{body['Id']}", **body}


def _event(logged: LoggedEvent) -> dict[str, Any]:
    event = logged.event
    where = logged.feed_id or "all feeds"
    amount = event.change_w if event.kind is EventKind.POWER_CHANGE else event.extreme_v
    return {
        "Id": str(logged.sequence),
        "Name": f"Event {logged.sequence}",
        "EntryType": "Event",
        "Created": iso8601(event.detected_ns / 1e9),
        **message(_EVENTS[event.kind], where, "unknown" if amount is None else f"{amount:.1f}"),
    }


def _triggered(logged: Logged) -> dict[str, Any]:
    event = logged.event
    return {
        "Id": logged.id,
        "Name": f"Entry {logged.id}",
        "EntryType": "Event",
        "Created": iso8601(event.at_s),
        "MessageId": event.message_id,
        "Message": event.text,
        "MessageArgs": list(event.args),
        "Severity": event.severity,
        "Links": {"OriginOfCondition": {"@odata.id": event.origin}},
    }


def _audited(entry: dict[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = entry["fields"]
    what = ", ".join(f"{name} {value}" for name, value in fields.items() if value is not None)
    trouble = any(word in entry["event"] for word in _TROUBLE)
    body = {
        "Id": str(entry["seq"]),
        "Name": f"Audit entry {entry['seq']}",
        "EntryType": "Oem",
        "OemRecordFormat": "DCPI audit",
        "Created": entry["time"],
        **message("Audited", entry["event"], what or "no details"),
        "Severity": "Warning" if trouble else "OK",
    }
    user = fields.get("user")
    return {**body, "Username": user} if isinstance(user, str) else body
