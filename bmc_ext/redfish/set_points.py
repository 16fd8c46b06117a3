"""Set points of the cooling loops on the Redfish face: shown from the drive, set by the command.

A PATCH takes the path of a thermal_control message: planned against the interlocks, written by the
driver, read back. What the drive did not take is an error; nothing is claimed to be set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bmc_ext.domain.thermal import FLOW, SPEED, CoolingCommand, SettingOutcome
from bmc_ext.errors import MessageError
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.cooling import values_of
from bmc_ext.redfish.errors import RedfishError
from bmc_ext.redfish.fixed_members import SENSORS
from bmc_ext.settings import LoopConfig
from drivers.reading import Quality, Reading

CONTROLS = "/redfish/v1/Chassis/DCPI/Controls"


@dataclass(frozen=True, slots=True)
class Kind:
    """A setting of a cooling command as a Control: its name, type, unit and sensor."""

    word: str
    control_type: str
    units: str
    sensor: str


KINDS: Final[Mapping[str, Kind]] = {
    SPEED: Kind("PumpSpeed", "Percent", "%", "PumpSpeed"),
    FLOW: Kind("Flow", "LiquidFlowLPM", "L/min", "Flow"),
}
"""What has an actuator, by its name in a cooling command."""


def control_id(loop: LoopConfig, setting: str) -> str:
    """`Loop_a_PumpSpeed`."""
    return f"Loop_{loop.id}_{KINDS[setting].word}"


def full_scale(loop: LoopConfig, setting: str) -> float:
    """The set point at full speed: 100 %, or the rated flow in L/min."""
    return 100.0 if setting == SPEED else loop.rated_flow_lpm


def set_point_reading(context: Context, loop: LoopConfig) -> Reading | None:
    """The speed in % that the drive holds now; None where there is no such point."""
    if loop.pump_setpoint is None:
        return None
    try:
        return context.device_sensors.reading(loop.pump_setpoint)
    except KeyError:  # the device was removed
        return Reading(None, "%", Quality.ABSENT)


def mode(context: Context) -> str:
    """The ControlMode: the user's set point holds, or nobody can set it here (observe)."""
    return "Override" if context.config.control == "act" else "Manual"


def set_point(context: Context, loop: LoopConfig, setting: str) -> float | None:
    """What the drive holds, in the setting's unit; None is unknown."""
    reading = set_point_reading(context, loop)
    if reading is None or reading.value is None:
        return None
    return reading.value / 100.0 * full_scale(loop, setting)


def set_point_excerpt(
    context: Context, loop: LoopConfig, setting: str, name: str
) -> dict[str, Any]:
    """The property `name` with the Control's excerpt; nothing where there is no actuator."""
    if loop.pump_setpoint is None:
        return {}
    return {
        name: {
            "DataSourceUri": f"{CONTROLS}/{control_id(loop, setting)}",
            "ControlMode": mode(context),
            "SetPoint": set_point(context, loop, setting),
            "AllowableMin": 0,
            "AllowableMax": full_scale(loop, setting),
        }
    }


def set_excerpt(
    context: Context,
    request: Request,
    loop: LoopConfig,
    setting: str,
    body: Mapping[str, Any],
    name: str,
) -> None:
    """Carry out a PATCH of `name`/SetPoint; MessageError where the body has no such number."""
    inner = body.get(name)
    if not isinstance(inner, dict) or set(inner) != {"SetPoint"}:
        raise MessageError(f"the property {name} takes an object with SetPoint alone", f"/{name}")
    carry_out(context, request, loop, setting, inner["SetPoint"], f"/{name}/SetPoint")


def carry_out(
    context: Context, request: Request, loop: LoopConfig, setting: str, value: object, pointer: str
) -> SettingOutcome:
    """Set it; the error names the property and why it was not set."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MessageError("SetPoint is not a number", pointer)
    if not 0 <= value <= full_scale(loop, setting):
        kind = KINDS[setting]
        text = f"{value:g} is outside 0 to {full_scale(loop, setting):g} {kind.units}"
        args = (f"{value:g}", pointer.lstrip("/"))
        raise RedfishError(400, text, pointer, message="PropertyValueOutOfRange", args=args)
    command = CoolingCommand(0, loop.id, {setting: float(value)})
    (system,) = context.commands.cool([command], request.who, request.correlation_id)
    (outcome,) = system.settings
    if outcome.status == "accepted":
        return outcome
    status = 503 if outcome.status == "comm_error" else 409
    reason = outcome.reason or outcome.status
    raise RedfishError(status, reason, pointer, message="GeneralError")


def sensor_excerpt(context: Context, loop: LoopConfig, setting: str) -> dict[str, Any]:
    """The sensor that shows what the set point does."""
    values = values_of(context, loop)
    reading = values.pump_speed if setting == SPEED else values.flow
    return {
        "DataSourceUri": f"{SENSORS}/Loop_{loop.id}_{KINDS[setting].sensor}",
        "Reading": reading.value,
    }
