"""What a client writes of a trigger: every member checked."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

from bmc_ext.errors import MessageError
from bmc_ext.redfish import members
from bmc_ext.redfish.events.message import SEVERITIES
from bmc_ext.redfish.reports.definition import DEFINITIONS, DefinitionStore, Entry
from bmc_ext.redfish.reports.metrics import MAX_METRICS, STATE, Catalogue
from bmc_ext.redfish.reports.request_body import (
    array,
    checked_id,
    checked_name,
    choice,
    count,
    duration_s,
    texts,
    wildcards_of,
)
from bmc_ext.redfish.reports.trigger import (
    ACTIONS,
    ACTIVATIONS,
    CONDITIONS,
    LEVELS,
    DiscreteValue,
    Threshold,
    Trigger,
)

_LONGEST_DWELL_S = 86_400.0
CHANGEABLE = (
    "TriggerActions", "NumericThresholds", "DiscreteTriggerCondition", "DiscreteTriggers",
    "MetricProperties", "Wildcards", "Links", "TriggerEnabled",
)  # fmt: skip
"""What a PATCH may hold."""

_ALLOWED = ("Id", "Name", "MetricType", *CHANGEABLE)


def new_trigger(
    body: object, spare_id: str, catalogue: Catalogue, definitions: DefinitionStore
) -> Trigger:
    """The trigger that a POST asks for; MessageError names what is wrong with it."""
    found = members.json_object(body, _ALLOWED)
    trigger_id = checked_id(found, spare_id)
    name = checked_name(found, f"Trigger {trigger_id}")
    kind = choice(found, "MetricType", ("Numeric", "Discrete"), "Numeric")
    condition = None if kind == "Numeric" else CONDITIONS[0]
    members.required(found, "MetricProperties")
    start = Trigger(id=trigger_id, name=name, properties=(), condition=condition)
    return changed(start, found, catalogue, definitions)


def changed(
    trigger: Trigger, found: dict[str, Any], catalogue: Catalogue, definitions: DefinitionStore
) -> Trigger:
    """The trigger with what these members say; MessageError."""
    _refuse_other_kind(trigger, found)
    thresholds = trigger.thresholds
    if "NumericThresholds" in found:
        thresholds = _thresholds(found["NumericThresholds"])
    values = trigger.values
    if "DiscreteTriggers" in found:
        values = tuple(
            _discrete(one, f"/DiscreteTriggers/{number}")
            for number, one in enumerate(array(found["DiscreteTriggers"], "DiscreteTriggers"))
        )
    condition = trigger.condition
    if condition is not None:
        condition = choice(found, "DiscreteTriggerCondition", CONDITIONS, condition)
    changed_one = Trigger(
        id=trigger.id,
        name=trigger.name,
        properties=texts(found["MetricProperties"], "MetricProperties")
        if "MetricProperties" in found
        else trigger.properties,
        wildcards=wildcards_of(found) if "Wildcards" in found else trigger.wildcards,
        actions=_actions(found, trigger.actions),
        thresholds=thresholds,
        condition=condition,
        values=values,
        reports=_reports(found["Links"], definitions) if "Links" in found else trigger.reports,
        enabled=members.flag(found, "TriggerEnabled", trigger.enabled),
    )
    return dataclasses.replace(changed_one, metrics=_checked(changed_one, catalogue))


def _refuse_other_kind(trigger: Trigger, found: dict[str, Any]) -> None:
    foreign = ("DiscreteTriggerCondition", "DiscreteTriggers")
    for name in foreign if trigger.is_numeric else ("NumericThresholds",):
        if name in found:
            kind = "Numeric" if trigger.is_numeric else "Discrete"
            raise MessageError(f"a trigger of MetricType {kind} has no {name}", f"/{name}")


def _checked(trigger: Trigger, catalogue: Catalogue) -> int:
    """How many values it is about: all are there, of its kind, and something is looked for."""
    entry = Entry(None, trigger.properties)
    number = count(entry, dict(trigger.wildcards), catalogue)
    if not 0 < number <= MAX_METRICS:
        text = f"a trigger is about 1 to {MAX_METRICS} values, not {number}"
        raise MessageError(text, "/MetricProperties")
    for uri in trigger.properties:
        if uri.endswith(STATE) == trigger.is_numeric:
            kind = "numbers" if trigger.is_numeric else f"{STATE} of sensors"
            text = f"MetricProperties: {uri[:200]!r} is none of the {kind} that it is about"
            raise MessageError(text, "/MetricProperties")
    if trigger.is_numeric and not trigger.thresholds:
        raise MessageError("a Numeric trigger has no threshold", "/NumericThresholds")
    if trigger.condition == "Specified" and not trigger.values:
        raise MessageError("the values that trigger are missing", "/DiscreteTriggers")
    names = [value.name for value in trigger.values]
    if len(set(names)) < len(names):
        raise MessageError("two DiscreteTriggers have the same Name", "/DiscreteTriggers")
    return number


def _thresholds(found: object) -> tuple[Threshold, ...]:
    if not isinstance(found, dict):
        raise MessageError("NumericThresholds is no object", "/NumericThresholds")
    for name in found:
        if name not in LEVELS:
            text = f"NumericThresholds are {', '.join(LEVELS)}"
            raise MessageError(text, f"/NumericThresholds/{name}")
    read = tuple(
        _threshold(level, found[level], f"/NumericThresholds/{level}")
        for level in LEVELS
        if level in found
    )
    if any(upper.reading < lower.reading for upper, lower in itertools.pairwise(read)):
        text = f"the thresholds do not fall in the order {', '.join(LEVELS)}"
        raise MessageError(text, "/NumericThresholds")
    return read


def _threshold(level: str, found: object, place: str) -> Threshold:
    if not isinstance(found, dict) or set(found) - {"Reading", "Activation", "DwellTime"}:
        raise MessageError(f"{level} has other members than Reading, Activation and DwellTime",
                           place)  # fmt: skip
    reading = found.get("Reading")
    is_number = isinstance(reading, int | float) and not isinstance(reading, bool)
    if not is_number or not math.isfinite(reading):  # type: ignore[arg-type]
        raise MessageError(f"{level}: Reading is no number", f"{place}/Reading")
    activation = found.get("Activation", "Either")
    if activation not in ACTIVATIONS:
        text = f"Activation is none of {', '.join(ACTIVATIONS)}"
        raise MessageError(text, f"{place}/Activation")
    return Threshold(level, float(reading), activation, _dwell_s(found, place))  # type: ignore[arg-type]


def _discrete(found: object, place: str) -> DiscreteValue:
    known = {"Name", "Value", "DwellTime", "Severity"}
    if not isinstance(found, dict) or set(found) - known or not isinstance(found.get("Value"), str):
        raise MessageError("a DiscreteTrigger has a Value that is a text", f"{place}/Value")
    name = found.get("Name", found["Value"])
    severity = found.get("Severity", "OK")
    if not isinstance(name, str) or len(name) > 256:
        raise MessageError("Name is no text of up to 256 characters", f"{place}/Name")
    if severity not in SEVERITIES:
        text = f"Severity is none of {', '.join(SEVERITIES)}"
        raise MessageError(text, f"{place}/Severity")
    return DiscreteValue(name, found["Value"][:256], severity, _dwell_s(found, place))


def _dwell_s(found: dict[str, Any], place: str) -> float:
    if found.get("DwellTime") is None:
        return 0.0
    seconds = duration_s(found["DwellTime"], f"{place}/DwellTime")
    if seconds > _LONGEST_DWELL_S:
        raise MessageError("DwellTime is longer than P1D", f"{place}/DwellTime")
    return seconds


def _actions(found: dict[str, Any], default: tuple[str, ...]) -> tuple[str, ...]:
    if "TriggerActions" not in found:
        return default
    actions = array(found["TriggerActions"], "TriggerActions")
    for action in actions:
        if action not in ACTIONS:
            text = f"TriggerActions is none of {', '.join(ACTIONS)}"
            raise MessageError(text, "/TriggerActions")
    return tuple(dict.fromkeys(actions))


def _reports(found: object, definitions: DefinitionStore) -> tuple[str, ...]:
    place = "/Links/MetricReportDefinitions"
    if not isinstance(found, dict) or set(found) - {"MetricReportDefinitions"}:
        raise MessageError("Links holds MetricReportDefinitions and nothing else", "/Links")
    uris = []
    known = {f"{DEFINITIONS}/{one.id}" for one in definitions.list()}
    for link in array(found.get("MetricReportDefinitions", []), "Links/MetricReportDefinitions"):
        uri = link.get("@odata.id") if isinstance(link, dict) else None
        if uri not in known:
            raise MessageError("a link leads to no MetricReportDefinition", place)
        uris.append(str(uri))
    return tuple(dict.fromkeys(uris))
