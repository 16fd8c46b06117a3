"""What the rack PDU shows of itself over Modbus, and what is switched there."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from drivers.simulation import SimulatedDevice
from emulator.plant.campus import Campus
from emulator.plant.chance import generator
from emulator.plant.feeds import PHASES
from emulator.plant.instrument import Array, Instruments
from emulator.plant.rack_pdu import OUTLETS, OUTLETS_PER_LINE, POWER_FACTOR, per_line

_SWITCH = "switch.outlet"

Show = Callable[[Mapping[str, float]], None]
"""Sets a device's registers to what it measured, as far as no fault is in between."""


class RackPduDevice:
    """Its meters, one of class 1 (IEC 62053-21) behind each outlet.

    Lines and total are sums of the outlets as they are measured, as the maker of such a PDU does.
    """

    def __init__(self, campus: Campus, seed: int, device: SimulatedDevice, show: Show) -> None:
        self._campus = campus
        self._show = show
        self.interval_s = device.profile.groups["fast"].source_s
        device.update({f"{_SWITCH}{number}": 1.0 for number in range(1, OUTLETS + 1)})
        device.on_write = self._command
        self._meters = Instruments(generator(seed, "rack pdu meters"), OUTLETS, gain=0.006)

    def measure(self, elapsed_s: float) -> None:
        """Take new values `elapsed_s` after the last ones."""
        campus, pdu = self._campus, self._campus.rack_pdu
        true_w = campus.outlets_w
        pdu.count(true_w, elapsed_s)
        power_w = self._meters.measure(true_w, elapsed_s)
        voltage_v = pdu.voltage_v(campus.grid.voltage_pu)
        current_a = power_w / POWER_FACTOR / np.repeat(voltage_v, OUTLETS_PER_LINE)
        self._show(
            {
                "frequency": campus.grid.frequency_hz,
                "power.active.total": float(power_w.sum()),
                "energy.active.import": float(pdu.energy_j.sum()),
                **_numbered("voltage.L", voltage_v),
                **_numbered("current.L", per_line(current_a)),
                **_numbered("power.active.L", per_line(power_w)),
                **_numbered("power.active.outlet", power_w),
                **_numbered("current.outlet", current_a),
                **_numbered("energy.active.outlet", pdu.energy_j),
                **_numbered("state.outlet", pdu.is_on.astype(float)),
            }
        )

    def _command(self, point: str, value: float) -> None:
        """A master wrote a switch: the relay follows at once."""
        outlet = int(point.removeprefix(_SWITCH)) - 1
        self._campus.rack_pdu.switch(outlet, value >= 0.5)


def _numbered(prefix: str, values: Array) -> dict[str, float]:
    assert len(values) in (PHASES, OUTLETS)
    return {f"{prefix}{number}": float(value) for number, value in enumerate(values, 1)}
