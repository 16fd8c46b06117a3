"""Why a value may be trusted, in messages: warnings, certificates, and redundant sensors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bmc_ext.domain.redundancy import Redundancy
from drivers.reading import CalibrationState, Condition


def warnings(conditions: Iterable[Condition]) -> list[dict[str, Any]]:
    """What asks for attention although the value may be used."""
    return [
        {"kind": entry.kind, "sensor": entry.sensor, "text": entry.text} for entry in conditions
    ]


def calibrations(states: Iterable[CalibrationState]) -> list[dict[str, Any]]:
    """The certificates of the sensors behind a value; days are UTC."""
    return [
        {
            "sensor": state.sensor,
            "certificate_id": state.certificate,
            "calibrated_on": state.calibrated_on.isoformat(),
            "due": state.due.isoformat(),
            "overdue": state.overdue,
        }
        for state in states
    ]


def redundancy(
    state: Redundancy | None, *, value: str, uncertainty: str, scale: float = 1.0
) -> dict[str, Any] | None:
    """The members of a redundant group, under the names that their quantity has here.

    `scale` divides what they read, in the sensors' unit.
    """
    if state is None:
        return None
    return {
        "method": state.method,
        "members": [
            {
                "sensor": member.name,
                "state": state.state_of(member.name),
                "quality": member.quality,
                value: None if member.value is None else member.value / scale,
                uncertainty: None if member.uncertainty is None else member.uncertainty / scale,
            }
            for member in state.members
        ],
    }
