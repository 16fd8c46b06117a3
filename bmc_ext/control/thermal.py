"""Acting on a thermal_control: write through the driver, read back, ask an independent sensor."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from bmc_ext.clock import Clock
from bmc_ext.control.ports import FieldDevices
from bmc_ext.domain.thermal import (
    FLOW,
    PlannedSetting,
    SettingOutcome,
    SystemOutcome,
    SystemPlan,
)
from bmc_ext.settings import Config, LoopConfig
from bmc_ext.telemetry.redundant_point import SensorGroup
from drivers.engine import WriteResult
from drivers.errors import WriteRefusedError
from drivers.reading import Quality

EFFECTIVE_WAIT_S = 0.8
"""How long an answer waits for a measurement taken after the write (DCPI 6.3.1 a: within 1 s)."""

_POLL_S = 0.02
_NOTHING_MEASURED = "no measurement has come since the write"


class ThermalControl:
    """The cooling loops' actuators; one message at a time, so that two cannot interleave."""

    def __init__(self, config: Config, devices: FieldDevices, clock: Clock) -> None:
        self._acting = config.control == "act"
        self._loops = {loop.id: loop for loop in config.loops}
        self._sensors = {
            (loop.id, name): SensorGroup(
                devices,
                loop.sensors(name),
                unit,
                f"loops/{loop.id}",
                loop.agree_within.get(name),
            )
            for loop in config.loops
            for name, unit in (("flow", "L/min"), ("pump_speed", "%"))
        }
        self._devices = devices
        self._clock = clock
        self._turn = threading.Lock()

    def carry_out(self, plans: Sequence[SystemPlan]) -> tuple[SystemOutcome, ...]:
        """Write what is planned, in order, then report; in observe mode nothing is written."""
        with self._turn:
            results = [self._write(entry) for entry in plans]
            written_s = self._clock.unix_ns() / 1e9
            deadline_s = self._clock.monotonic_s() + EFFECTIVE_WAIT_S
            return tuple(
                self._outcome(entry, result, written_s, deadline_s)
                for entry, result in zip(plans, results, strict=True)
            )

    def _write(self, entry: SystemPlan) -> WriteResult | str | None:
        """What the write gave, the text of its refusal, or None where nothing was written."""
        loop = self._loops.get(entry.system_id)
        if (
            not self._acting
            or entry.speed_percent is None
            or loop is None
            or loop.pump_setpoint is None
        ):
            return None
        try:
            return self._devices.write(
                loop.pump_setpoint.device, loop.pump_setpoint.point, entry.speed_percent
            )
        except WriteRefusedError as error:
            return str(error)

    def _outcome(
        self,
        entry: SystemPlan,
        result: WriteResult | str | None,
        written_s: float,
        deadline_s: float,
    ) -> SystemOutcome:
        if not entry.known:
            refused = tuple(_as_planned(setting) for setting in entry.settings)
            return SystemOutcome(entry.system_id, False, refused)
        loop = self._loops[entry.system_id]
        settings = tuple(
            _as_planned(setting)
            if setting.status is not None
            else self._setting(setting, loop, result, written_s, deadline_s)
            for setting in entry.settings
        )
        return SystemOutcome(entry.system_id, True, settings)

    def _setting(
        self,
        setting: PlannedSetting,
        loop: LoopConfig,
        result: WriteResult | str | None,
        written_s: float,
        deadline_s: float,
    ) -> SettingOutcome:
        """What became of a setting that was to be written."""
        sensor = self._sensors[loop.id, "flow" if setting.name == FLOW else "pump_speed"]
        if isinstance(result, str):
            return SettingOutcome(setting.name, setting.requested, "refused", reason=result)
        if result is None:
            return SettingOutcome(
                setting.name,
                setting.requested,
                "observed",
                effective=self._measured(sensor, None, deadline_s),
                reason="control mode is observe: nothing was written",
            )
        effective = self._measured(sensor, written_s, deadline_s)
        reason = result.reason or setting.reason
        if reason is None and effective is None:
            reason = _NOTHING_MEASURED
        accepted = result.accepted
        if accepted is not None and setting.name == FLOW:
            accepted = accepted / 100.0 * loop.rated_flow_lpm
        return SettingOutcome(
            setting.name,
            setting.requested,
            result.status,
            accepted=accepted,
            effective=effective,
            reason=reason,
        )

    def _measured(
        self, sensor: SensorGroup, after_s: float | None, deadline_s: float
    ) -> float | None:
        """The sensor's value, measured after that Unix time if one is given; None is unknown."""
        while sensor.refs:
            reading = sensor.read()
            if reading.quality is not Quality.OK or reading.measured_at is None:
                fresh = False
            else:
                fresh = after_s is None or reading.measured_at >= after_s
            if fresh:
                return reading.value
            if after_s is None or self._clock.monotonic_s() >= deadline_s:
                return None
            self._clock.sleep(_POLL_S)
        return None


def _as_planned(setting: PlannedSetting) -> SettingOutcome:
    """The outcome of a setting that nothing was done for."""
    status = setting.status or "refused"
    return SettingOutcome(setting.name, setting.requested, status, reason=setting.reason)
