"""thermal_control and its answer (DCPI 6.3.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bmc_ext.domain.thermal import SETTINGS, CoolingCommand, SettingOutcome, SystemOutcome


def cooling_commands(message: Mapping[str, Any]) -> tuple[CoolingCommand, ...]:
    """The commands of a valid thermal_control; members that the draft does not know are ignored."""
    return tuple(
        CoolingCommand(
            index=index,
            system_id=command["system_id"],
            settings={name: command[name] for name in SETTINGS if name in command},
        )
        for index, command in enumerate(message["cooling_commands"])
    )


def thermal_control_response(
    control_mode: str, outcomes: Sequence[SystemOutcome]
) -> dict[str, Any]:
    """The payload of the answer, without the header."""
    return {
        "control_mode": control_mode,
        "outcomes": [
            {
                "system_id": outcome.system_id,
                "status": outcome.status,
                "settings": [_setting(setting) for setting in outcome.settings],
            }
            for outcome in outcomes
        ],
    }


def _setting(outcome: SettingOutcome) -> dict[str, Any]:
    return {
        "setting": outcome.name,
        "requested": outcome.requested,
        "status": outcome.status,
        "accepted": outcome.accepted,
        "effective": outcome.effective,
        "unit": SETTINGS[outcome.name],
        "reason": outcome.reason,
    }
