"""The heat of one coolant loop from its readings: value, uncertainty, and what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from bmc_ext.domain.calibration import MONTHS_BY_UNIT, interval_end
from bmc_ext.domain.en1434 import HeatMeter
from bmc_ext.domain.heat import Fluid, Heat, fluid, heat_flow
from bmc_ext.domain.heat_accuracy import accuracy_condition, needed_delta_k
from bmc_ext.errors import ConfigurationError
from bmc_ext.settings import LoopConfig, PairConfig
from drivers.reading import CalibrationState, Condition, Reading


class LoopHeat(NamedTuple):
    """A heat or None, its terms in W by sensor, and its conditions."""

    heat: Heat | None
    terms_w: Mapping[str, float]
    conditions: tuple[Condition, ...] = ()


class _Pair(NamedTuple):
    """A matched pair's certificate; `sensor` names both ends."""

    sensor: str
    certificate: PairConfig

    def state(self, unix_s: float) -> CalibrationState:
        """Due after 6 months (DCPI 5.2.3, Table 2); overdue from the next day on, UTC."""
        known = self.certificate
        due = interval_end(known.calibrated_on, MONTHS_BY_UNIT["Cel"])
        overdue = datetime.fromtimestamp(unix_s, UTC).date() > due
        return CalibrationState(self.sensor, known.certificate, known.calibrated_on, due, overdue)


class LoopHeatMeter:
    """Computes the heat as the loop is configured.

    ConfigurationError for an unknown fluid, a heat meter that cannot be, or a pair of which an end
    is no single sensor.
    """

    def __init__(self, config: LoopConfig) -> None:
        self._config = config
        place = f"loops/{config.id}"
        try:
            self._fluid: Fluid = fluid(config.fluid)
            self._meter = None if config.heat_meter is None else HeatMeter(**config.heat_meter)
        except ValueError as error:
            raise ConfigurationError(f"{place}: {error}") from error
        if self._is_matched:
            self._check_pair(place)
        if set(config.sensors("supply")) & set(config.sensors("return_")):
            raise ConfigurationError(f"{place}: supply and return have a sensor in common")
        self._sensors = self._named_sensors()
        self._pair = None if config.pair is None else _Pair(self._sensors["pair"], config.pair)

    def with_pair(self, end: Reading) -> Reading:
        """Supply or return with the certificate of the pair, if any, on the day of its reading."""
        if self._pair is None or end.measured_at is None:
            return end
        state = self._pair.state(end.measured_at)
        return end._replace(calibrations=(*end.calibrations, state))

    def measure(self, flow: Reading, supply: Reading, return_: Reading) -> LoopHeat:
        """The heat now; None unless all inputs are known, within the fluid's range, and a flow."""
        if flow.value is None or supply.value is None or return_.value is None:
            return LoopHeat(None, {})
        delta_k = return_.value - supply.value
        flow_lpm = flow.value
        flow_u = self._flow_uncertainty(flow)
        difference = self._difference(supply, return_)
        pair_u = self._pair_uncertainty(difference, delta_k)
        try:
            heat = heat_flow(
                self._fluid,
                flow_lpm=flow_lpm,
                supply_c=supply.value,
                return_c=return_.value,
                flow_sensor=self._config.flow_sensor,
                flow_uncertainty_lpm=flow_u,
                supply_uncertainty_c=None if self._is_matched else supply.uncertainty,
                return_uncertainty_c=None if self._is_matched else return_.uncertainty,
                pair_uncertainty_k=pair_u,
            )
        except ValueError:
            return LoopHeat(None, {}, (self._refusal(flow.value),))
        terms_w = {self._sensors[name]: term for name, term in heat.terms_w.items()}
        found = self._conditions(heat, flow_lpm, flow_u, delta_k, difference)
        return LoopHeat(heat, terms_w, (*self._overdue(supply), *found))

    def _overdue(self, supply: Reading) -> tuple[Condition, ...]:
        if self._pair is None or supply.measured_at is None:
            return ()
        state = self._pair.state(supply.measured_at)
        text = f"the pair is overdue for calibration since {state.due} ({state.certificate})"
        return (self._condition("calibration-overdue", text),) if state.overdue else ()

    @property
    def _is_matched(self) -> bool:
        return self._config.pair is not None or self._meter is not None

    def _conditions(
        self,
        heat: Heat,
        flow_lpm: float,
        flow_u: float | None,
        delta_k: float,
        difference: tuple[float, float] | None,
    ) -> tuple[Condition, ...]:
        found = []
        relative, constant_k = difference or (0.0, 0.0)
        if flow_lpm > 0.0 and delta_k < -(constant_k + relative * abs(delta_k)):
            text = "the supply is warmer than the return: the heat flows into the racks"
            found.append(self._condition("heat-reversed", text))
        if flow_u is not None and difference is not None:
            needed_k = needed_delta_k(
                flow_relative=flow_u / flow_lpm if flow_lpm > 0.0 else math.inf,
                delta_uncertainty_k=constant_k,
                delta_relative=relative,
                coefficient_relative=self._fluid.relative_uncertainty,
            )
            uncertain = accuracy_condition(self._config.id, heat, needed_k)
            found += [] if uncertain is None else [uncertain]
        return tuple(found)

    def _refusal(self, flow_lpm: float) -> Condition:
        """Why there is no heat; without readings, so that it stays the same one."""
        if not flow_lpm >= 0.0:
            return self._condition("flow-reversed", "the flow is negative, its heat is not known")
        least_c, most_c = self._fluid.min_c, self._fluid.max_c
        name = self._fluid.name
        text = f"a temperature is outside the range of {name}, {least_c:g} to {most_c:g} Cel"
        return self._condition("heat-unknown", text)

    def _condition(self, kind: str, text: str) -> Condition:
        return Condition(kind, self._config.id, f"{self._config.id}: {text}")

    def _flow_uncertainty(self, flow: Reading) -> float | None:
        """In L/min: the sensor's own, or what its meter's class allows it."""
        if flow.uncertainty is not None or self._meter is None or flow.value is None:
            return flow.uncertainty
        try:
            return self._meter.flow_percent(flow.value) / 100.0 * flow.value
        except ValueError:  # beyond its range its class says nothing
            return None

    def _difference(self, supply: Reading, return_: Reading) -> tuple[float, float] | None:
        """Half width of return - supply: a ratio of the difference, and a part in K.

        By the pair's certificate, by its meter's class, or of two independent sensors.
        """
        if self._config.pair is not None:
            return 0.0, self._config.pair.uncertainty_k
        if self._meter is not None:
            return self._meter.pair_parts
        if supply.uncertainty is None or return_.uncertainty is None:
            return None
        return 0.0, math.hypot(supply.uncertainty, return_.uncertainty)

    def _pair_uncertainty(
        self, difference: tuple[float, float] | None, delta_k: float
    ) -> float | None:
        """Of a matched pair's difference in K; None where its class says nothing."""
        if difference is None or not self._is_matched:
            return None
        least_k = self._meter.delta_min_k if self._meter and not self._config.pair else 0.0
        if abs(delta_k) < least_k:
            return None
        return difference[1] + difference[0] * abs(delta_k)

    def _check_pair(self, place: str) -> None:
        for key, name in (("supply", "supply"), ("return", "return_")):
            count = len(self._config.sensors(name))
            if count != 1:
                raise ConfigurationError(
                    f"{place}: {key}: a matched pair has one sensor at each end, not {count}"
                )

    def _named_sensors(self) -> dict[str, str]:
        """What each term of the heat comes from: loops with the same one share its error."""
        ends = {
            name: "+".join(
                sorted(f"{ref.device}/{ref.point}" for ref in self._config.sensors(field))
            )
            for name, field in (("flow", "flow"), ("supply", "supply"), ("return", "return_"))
        }
        pair = f"{ends['supply']}&{ends['return']}"
        return {**ends, "pair": pair, "coefficient": self._fluid.name}
