"""Why a value may be trusted, on the Redfish face: conditions, certificates, redundant sensors.

Words are those of DMTF's Resource.Condition, Sensor (CalibrationTime, Reading) and
Redundancy.RedundantGroup (RedundancyType, MinNeededInGroup).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bmc_ext.domain.redundancy import Redundancy
from bmc_ext.domain.thresholds import Limits, beyond, severity
from bmc_ext.redfish.quantities import status
from drivers.reading import CalibrationState, Condition, Quality

_REGISTRY = "Dcpi.1.0"
_WORSE = ("OK", "Warning", "Critical")


def conditioned_status(quality: Quality, found: Iterable[Condition]) -> dict[str, Any]:
    """Redfish Status of something with that quality; its conditions make OK a Warning."""
    shown = [
        {
            "MessageId": f"{_REGISTRY}.{camel(entry.kind)}",
            "Message": entry.text,
            "MessageArgs": [entry.sensor],
            "Severity": "Warning",
        }
        for entry in found
    ]
    answer: dict[str, Any] = dict(status(quality))
    if not shown:
        return answer
    health = "Warning" if answer["Health"] == "OK" else answer["Health"]
    return {**answer, "Health": health, "Conditions": shown}


def limited_status(found: dict[str, Any], limits: Limits, value: float | None) -> dict[str, Any]:
    """A Status that a passed limit makes worse; an unknown value passes none."""
    passed = beyond(limits, value)
    if not passed:
        return found
    return {**found, "Health": max(severity(passed), found["Health"], key=_WORSE.index)}


def calibrations(states: Iterable[CalibrationState]) -> list[dict[str, Any]]:
    """The certificates of the sensors behind a value."""
    return [
        {
            "Sensor": state.sensor,
            "CertificateId": state.certificate,
            "CalibrationTime": f"{state.calibrated_on}T00:00:00Z",
            "CalibrationDueTime": f"{state.due}T23:59:59Z",
            "Overdue": state.overdue,
        }
        for state in states
    ]


def redundancy(state: Redundancy | None) -> dict[str, Any] | None:
    """A group of sensors that are all active: any one of them is enough."""
    if state is None:
        return None
    return {
        "RedundancyType": "NPlusM",
        "MinNeededInGroup": 1,
        "Method": state.method,
        "Status": _group_status(state),
        "Members": [
            {
                "Sensor": member.name,
                "State": state.state_of(member.name),
                "Quality": member.quality,
                "Reading": member.value,
                "Uncertainty": member.uncertainty,
            }
            for member in state.members
        ],
    }


def _group_status(state: Redundancy) -> dict[str, str]:
    if not state.used:
        return {"State": "UnavailableOffline", "Health": "Critical"}
    health = "Warning" if state.lost or state.disagreeing else "OK"
    return {"State": "Enabled", "Health": health}


def camel(kind: str) -> str:
    """`calibration-overdue` as CalibrationOverdue."""
    return "".join(word.capitalize() for word in kind.split("-"))
