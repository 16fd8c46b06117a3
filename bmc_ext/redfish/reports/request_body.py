"""What a client writes of a metric report definition: every member checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bmc_ext.errors import MessageError
from bmc_ext.redfish import members
from bmc_ext.redfish.host import PREFIX
from bmc_ext.redfish.reports.collection import FUNCTIONS, MAX_DURATION_S, windows_in
from bmc_ext.redfish.reports.definition import (
    ACTIONS,
    MIN_INTERVAL_S,
    TYPES,
    UPDATES,
    Entry,
    ReportDefinition,
)
from bmc_ext.redfish.reports.metrics import MAX_METRICS, STATE, Catalogue

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_DURATION = re.compile(
    r"P(?:(\d{1,4})D)?(?:T(?:(\d{1,4})H)?(?:(\d{1,5})M)?(?:(\d{1,6}(?:\.\d{1,3})?)S)?)?"
)
_UNITS_S = (86_400.0, 3600.0, 60.0, 1.0)
_LONGEST_S = 30 * 86_400.0
_MAX_APPENDED = 10_000
_MAX_TEXT = 1024
_ALLOWED = (
    "Id", "Name", "MetricReportDefinitionType", "Schedule", "ReportActions", "ReportUpdates",
    "AppendLimit", "Metrics", "MetricProperties", "Wildcards", "SuppressRepeatedMetricValue",
    "MetricReportDefinitionEnabled",
)  # fmt: skip

_OF_METRIC = (
    "MetricId", "MetricProperties", "CollectionFunction", "CollectionDuration",
    "CollectionTimeScope",
)  # fmt: skip

CHANGEABLE = tuple(name for name in _ALLOWED if name not in ("Id", "Name", "AppendLimit"))
"""What a PATCH may hold."""


def new_definition(body: object, spare_id: str, catalogue: Catalogue) -> ReportDefinition:
    """The definition that a POST asks for; MessageError names what is wrong with it."""
    found = members.json_object(body, _ALLOWED)
    definition_id = checked_id(found, spare_id)
    name = checked_name(found, f"Report {definition_id}")
    members.text(found, "MetricReportDefinitionType")
    start = ReportDefinition(id=definition_id, name=name, type="OnRequest", entries=())
    return changed(start, found, catalogue)


def checked_id(found: dict[str, Any], spare_id: str) -> str:
    """The Id that a client wants, or the spare one; MessageError."""
    wanted = members.text(found, "Id") if "Id" in found else spare_id
    if not _ID.fullmatch(wanted):
        text = "Id has 1 to 64 letters, digits, '_', '.' and '-', the first a letter or digit"
        raise MessageError(text, "/Id")
    if wanted.startswith(PREFIX):
        raise MessageError(f"Id begins with {PREFIX}, as ids of a BMC behind us do", "/Id")
    return wanted


def checked_name(found: dict[str, Any], default: str) -> str:
    """The Name; MessageError."""
    name = members.text(found, "Name") if "Name" in found else default
    if len(name) > _MAX_TEXT:
        raise MessageError(f"Name is longer than {_MAX_TEXT} characters", "/Name")
    return name


def changed(
    definition: ReportDefinition, found: dict[str, Any], catalogue: Catalogue
) -> ReportDefinition:
    """The definition with what these members say; MessageError."""
    kind = choice(found, "MetricReportDefinitionType", TYPES, definition.type)
    interval_s = _interval(found, definition.interval_s)
    if kind == "Periodic" and interval_s is None:
        raise MessageError("a Periodic report needs Schedule/RecurrenceInterval", "/Schedule")
    entries = definition.entries
    if "Metrics" in found or "MetricProperties" in found:
        entries = (*_metrics(found), *_properties(found))
    wildcards = wildcards_of(found) if "Wildcards" in found else definition.wildcards
    counts = [count(entry, dict(wildcards), catalogue) for entry in entries]
    if not 0 < sum(counts) <= MAX_METRICS:
        text = f"a report holds 1 to {MAX_METRICS} values, not {sum(counts)}"
        raise MessageError(text, "/MetricProperties")
    return ReportDefinition(
        id=definition.id,
        name=definition.name,
        type=kind,
        entries=entries,
        wildcards=wildcards,
        interval_s=interval_s if kind == "Periodic" else None,
        actions=_actions(found, definition.actions),
        updates=choice(found, "ReportUpdates", UPDATES, definition.updates),
        append_limit=_limit(found, definition.append_limit),
        suppress_repeated=members.flag(
            found, "SuppressRepeatedMetricValue", definition.suppress_repeated
        ),
        enabled=members.flag(found, "MetricReportDefinitionEnabled", definition.enabled),
        metrics=sum(counts),
        collected=sum(n for n, entry in zip(counts, entries, strict=True) if entry.function),
        held=sum(
            n * windows_in(entry.duration_s)
            for n, entry in zip(counts, entries, strict=True)
            if entry.duration_s is not None
        ),
    )


def count(entry: Entry, wildcards: Mapping[str, tuple[str, ...]], catalogue: Catalogue) -> int:
    """How many values an entry stands for; every one of them must be there."""
    found = 0
    for uri in entry.properties:
        try:
            for one in catalogue.expand(uri, wildcards):
                catalogue.metric(one)
                if entry.function is not None and one.endswith(STATE):
                    raise ValueError(f"{one[:200]!r} is no number to be collected")
                found += 1
        except ValueError as error:
            raise MessageError(f"MetricProperties: {error}", "/MetricProperties") from error
        if found > MAX_METRICS:
            break
    return found


def choice(found: dict[str, Any], name: str, allowed: tuple[str, ...], default: str) -> str:
    """One of these; MessageError."""
    value = found.get(name, default)
    if value not in allowed:
        raise MessageError(f"{name} is none of {', '.join(allowed)}", f"/{name}")
    return str(value)


def _interval(found: dict[str, Any], default: float | None) -> float | None:
    if "Schedule" not in found:
        return default
    schedule = found["Schedule"]
    if not isinstance(schedule, dict) or set(schedule) - {"RecurrenceInterval"}:
        text = "of a Schedule RecurrenceInterval is supported, and nothing else"
        raise MessageError(text, "/Schedule")
    place = "/Schedule/RecurrenceInterval"
    seconds = duration_s(schedule.get("RecurrenceInterval"), place)
    if not MIN_INTERVAL_S <= seconds <= _LONGEST_S:
        raise MessageError(f"RecurrenceInterval is not in PT{MIN_INTERVAL_S}S to P30D", place)
    if abs(seconds * 10 - round(seconds * 10)) > 1e-6:
        raise MessageError("RecurrenceInterval is no multiple of the window of 100 ms", place)
    return seconds


def duration_s(value: object, place: str) -> float:
    """An Edm.Duration of days, hours, minutes and seconds in seconds; MessageError."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None or not any(match.groups()):
        raise MessageError(f"{place.rpartition('/')[2]} is no duration such as PT10S", place)
    return sum(
        float(part) * unit for part, unit in zip(match.groups(), _UNITS_S, strict=True) if part
    )


def _actions(found: dict[str, Any], default: tuple[str, ...]) -> tuple[str, ...]:
    if "ReportActions" not in found:
        return default
    actions = array(found["ReportActions"], "ReportActions")
    for action in actions:
        if action not in ACTIONS:
            raise MessageError(f"ReportActions is none of {', '.join(ACTIONS)}", "/ReportActions")
    return tuple(dict.fromkeys(actions))


def _limit(found: dict[str, Any], default: int) -> int:
    value = found.get("AppendLimit", default)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MAX_APPENDED:
        raise MessageError(f"AppendLimit is no number from 1 to {_MAX_APPENDED}", "/AppendLimit")
    return value


def _metrics(found: dict[str, Any]) -> list[Entry]:
    entries = []
    for number, metric in enumerate(array(found.get("Metrics", []), "Metrics")):
        place = f"/Metrics/{number}"
        if not isinstance(metric, dict):
            raise MessageError(f"Metrics/{number} is no object", place)
        if set(metric) - set(_OF_METRIC):
            raise MessageError(f"Metrics/{number} has other members than {_OF_METRIC}", place)
        function, duration_s = _function(metric, place)
        metric_id = metric.get("MetricId")
        if metric_id is not None and not (isinstance(metric_id, str) and len(metric_id) <= 256):
            raise MessageError(f"Metrics/{number}/MetricId is no text", f"{place}/MetricId")
        uris = texts(metric.get("MetricProperties", []), f"Metrics/{number}/MetricProperties")
        entries.append(Entry(metric_id, uris, function, duration_s))
    return entries


def _function(metric: dict[str, Any], place: str) -> tuple[str | None, float | None]:
    """CollectionFunction and the time in s that it is over, which goes back from each report."""
    function = metric.get("CollectionFunction")
    scope = "Point" if function is None else "Interval"
    if metric.get("CollectionTimeScope", scope) != scope:
        text = f"CollectionTimeScope is {scope} {'without' if function is None else 'with'} one"
        raise MessageError(f"{text} of CollectionFunction", f"{place}/CollectionTimeScope")
    if function is None:
        if "CollectionDuration" in metric:
            text = "CollectionDuration is of a CollectionFunction, which is missing"
            raise MessageError(text, f"{place}/CollectionDuration")
        return None, None
    if function not in FUNCTIONS:
        text = f"CollectionFunction is none of {', '.join(FUNCTIONS)}"
        raise MessageError(text, f"{place}/CollectionFunction")
    seconds = duration_s(metric.get("CollectionDuration"), f"{place}/CollectionDuration")
    if not MIN_INTERVAL_S <= seconds <= MAX_DURATION_S:
        text = f"CollectionDuration is not in PT{MIN_INTERVAL_S}S to PT{MAX_DURATION_S:.0f}S"
        raise MessageError(text, f"{place}/CollectionDuration")
    return str(function), seconds


def _properties(found: dict[str, Any]) -> list[Entry]:
    uris = texts(found.get("MetricProperties", []), "MetricProperties")
    return [Entry(None, uris)] if uris else []


def wildcards_of(found: dict[str, Any]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Wildcards as names with their values; MessageError."""
    wildcards = []
    for number, entry in enumerate(array(found["Wildcards"], "Wildcards")):
        place = f"/Wildcards/{number}"
        if not isinstance(entry, dict) or not isinstance(entry.get("Name"), str):
            raise MessageError(f"Wildcards/{number} has no Name", place)
        values = entry.get("Values", entry.get("Keys", []))
        wildcards.append((entry["Name"], texts(values, f"Wildcards/{number}/Values")))
    return tuple(wildcards)


def array(value: object, name: str) -> list[Any]:
    """An array of a bounded length; MessageError."""
    if not isinstance(value, list) or len(value) > MAX_METRICS:
        raise MessageError(f"{name} is no array of up to {MAX_METRICS} entries", f"/{name}")
    return value


def texts(value: object, name: str) -> tuple[str, ...]:
    """An array of texts of bounded lengths; MessageError."""
    entries = array(value, name)
    for entry in entries:
        if not isinstance(entry, str) or not 0 < len(entry) <= _MAX_TEXT:
            raise MessageError(f"{name} holds something else than texts", f"/{name}")
    return tuple(entries)
