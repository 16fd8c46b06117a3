"""Switching an outlet: write through the driver, read back, ask the outlet's own state."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final, Literal

from bmc_ext.clock import Clock
from bmc_ext.control.ports import FieldDevices
from bmc_ext.equipment import PointRef
from bmc_ext.rack_pdu import PduOutlet
from bmc_ext.settings import Config
from drivers.errors import WriteRefusedError
from drivers.reading import Quality

EFFECTIVE_WAIT_S: Final = 2.0
"""How long the state is waited for: PDUs measure once a second."""

LIVE: Final = 0.5
"""A state or switch above it is on."""

_POLL_S = 0.02

Status = Literal["accepted", "observed", "refused", "not_set", "not_followed", "comm_error"]


@dataclass(frozen=True, slots=True)
class OutletOutcome:
    """What became of an order; `effective` is the state measured since then, None unknown."""

    status: Status
    effective: bool | None = None
    reason: str | None = None


class OutletControl:
    """The switches of all outlets; one order at a time."""

    def __init__(self, config: Config, devices: FieldDevices, clock: Clock) -> None:
        self._acting = config.control == "act"
        self._devices = devices
        self._clock = clock
        self._turn = threading.Lock()

    def switch(self, outlet: PduOutlet, on: bool) -> OutletOutcome:
        """Switch it; in observe mode nothing is written."""
        if outlet.switch is None:
            return OutletOutcome("refused", reason=f"outlet {outlet.id} has no switch")
        if not self._acting:
            reason = "control mode is observe: nothing was written"
            return OutletOutcome("observed", reason=reason)
        with self._turn:
            try:
                result = self._devices.write(*outlet.switch, float(on))
            except (WriteRefusedError, KeyError) as error:
                return OutletOutcome("refused", reason=str(error))
            if result.status != "accepted":
                return OutletOutcome(result.status, reason=result.reason)
            return self._followed(outlet, on)

    def _followed(self, outlet: PduOutlet, on: bool) -> OutletOutcome:
        """Whether the state is as ordered; the device has taken the order all the same."""
        if outlet.state is None:
            return OutletOutcome("accepted", reason="the outlet tells no state")
        written_s = self._clock.unix_ns() / 1e9
        deadline_s = self._clock.monotonic_s() + EFFECTIVE_WAIT_S
        effective = None
        while effective is not on and self._clock.monotonic_s() < deadline_s:
            self._clock.sleep(_POLL_S)
            effective = self._state(outlet.state, written_s)
        if effective is None:
            return OutletOutcome("accepted", reason="no state has been measured since")
        if effective is not on:
            text = f"the device took the order and the outlet is {'on' if effective else 'off'}"
            return OutletOutcome("not_followed", effective, text)
        return OutletOutcome("accepted", effective)

    def _state(self, ref: PointRef, after_s: float) -> bool | None:
        """The state, measured after that Unix time."""
        try:
            reading = self._devices.reading(*ref)
        except KeyError:  # the device was removed
            return None
        if reading.quality is not Quality.OK or reading.value is None:
            return None
        if reading.measured_at is None or reading.measured_at < after_s:
            return None
        return reading.value > LIVE
