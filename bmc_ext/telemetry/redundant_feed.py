"""One feed that several sources measure: the vote of its members as values of a window."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bmc_ext.domain.energy import WINDOW_S, EnergyCounter
from bmc_ext.domain.power import FeedValues
from bmc_ext.domain.redundancy import Limit, Member, Vote, vote
from bmc_ext.sampling import Flag
from bmc_ext.telemetry.meter_feed import MeterFeed, meter_record
from bmc_ext.telemetry.record import WindowRecord
from bmc_ext.telemetry.waveform_feed import WaveformFeed
from drivers.reading import Quality

_DOUBTS = frozenset((*Flag.CLIPPED.labels, *Flag.COARSE.labels))

Sourced = tuple[FeedValues, WindowRecord]
"""What one source gives of a window."""


class RedundantFeed:
    """Votes on the active power; belongs to the tick.

    What else is shown is the chosen member's; P, Q and S of two that agree are their means. Energy
    is the integral of the voted plain mean power, never a member's counter: when a member fails
    the next window counts what the others read, and the total goes on from where it stands.
    `energy` is the feed's own counter; a window without a vote is one that it lacks.
    """

    def __init__(
        self,
        feed_id: str,
        members: Sequence[WaveformFeed | MeterFeed],
        limit: Limit,
        energy: EnergyCounter,
    ) -> None:
        self.feed_id = feed_id
        self._members = members
        self._limit = limit
        self._energy = energy
        self._taken_at: float | None = None  # in this life
        self._suspects: frozenset[str] = frozenset()

    def take(
        self,
        window_id: int,
        arrived: Mapping[str, Sourced],
        monotonic_s: float,
        clock_rate_error: float = 0.0,
    ) -> Sourced:
        """The feed's values in a window, of which `arrived` holds the waveform members'.

        `clock_rate_error` bounds the relative error of the system clock's rate against UTC, on
        whose grid the windows are.
        """
        sourced = {
            member.feed_id: _of(member, window_id, arrived, monotonic_s) for member in self._members
        }
        result = self._vote(
            {
                name: Member(
                    name, values.p_w, values.quality, values.p_uncertainty_w, _is_doubtful(values)
                )
                for name, (values, _) in sourced.items()
            }
        )
        p_mean_w = self._mean_power(sourced)
        self._suspects = result.redundancy.suspects
        values = self._values(sourced, result)
        self._count_energy(window_id, p_mean_w, values.q_var, monotonic_s, clock_rate_error)
        values = self._with_energy(values)
        record = meter_record(window_id, values)._replace(
            p_mean_w=p_mean_w,
        )
        return values, record

    def _vote(self, members: Mapping[str, Member]) -> Vote:
        return vote(tuple(members.values()), self._limit, suspects=self._suspects)

    def _mean_power(self, sourced: Mapping[str, Sourced]) -> float | None:
        """By a vote of its own: the plain mean holds where the weighted one is unknown."""
        return self._vote(
            {
                name: Member(
                    name,
                    record.p_mean_w,
                    Quality.ABSENT if record.p_mean_w is None else Quality.OK,
                    values.p_uncertainty_w,
                    _is_doubtful(values),
                )
                for name, (values, record) in sourced.items()
            }
        ).value

    def _count_energy(
        self,
        window_id: int,
        p_mean_w: float | None,
        q_var: float | None,
        monotonic_s: float,
        clock_rate_error: float,
    ) -> None:
        elapsed_s = None if self._taken_at is None else monotonic_s - self._taken_at
        self._energy.advance(window_id, elapsed_s)
        self._taken_at = monotonic_s
        self._energy.add(p_mean_w, q_var, WINDOW_S, clock_rate_error)

    def _with_energy(self, values: FeedValues) -> FeedValues:
        """The feed's own energies, which stand at any quality; what they lack is counted."""
        return replace(
            values,
            energy_import_j=self._energy.import_j,
            energy_export_j=self._energy.export_j,
            registers=self._energy.registers,
            counted_at=self._energy.counted_at,
        )

    def _values(self, sourced: Mapping[str, Sourced], result: Vote) -> FeedValues:
        members = [values for values, _ in sourced.values()]
        conditions = tuple(entry for values in members for entry in values.conditions)
        calibrations = tuple(entry for values in members for entry in values.calibrations)
        used = [sourced[name][0] for name in result.redundancy.used]
        shown = used[0] if used else FeedValues(self.feed_id, "redundant", result.quality)
        if len(used) > 1:
            shown = _mean_of(used)
        return replace(
            shown,
            feed_id=self.feed_id,
            source="redundant",
            p_w=result.value,
            p_uncertainty_w=result.uncertainty,
            conditions=(*result.conditions, *conditions),
            calibrations=calibrations,
            redundancy=result.redundancy,
        )


def _is_doubtful(values: FeedValues) -> bool:
    """Whether the window's own flags say that its magnitudes are low or rough."""
    return not _DOUBTS.isdisjoint(values.flags)


def _of(
    member: WaveformFeed | MeterFeed,
    window_id: int,
    arrived: Mapping[str, Sourced],
    monotonic_s: float,
) -> Sourced:
    if isinstance(member, MeterFeed):
        values = member.values()
        return values, meter_record(window_id, values)
    found = arrived.get(member.feed_id)
    if found is not None:
        return found
    values = member.missing(window_id, monotonic_s)
    return values, WindowRecord(window_id, values.quality)


def _mean_of(used: Sequence[FeedValues]) -> FeedValues:
    """The first one, with the others' powers taken in where all of them know theirs.

    Only the active power is voted on: how sure the mean of the others is, is not known.
    """
    p_w = _mean([values.p_w for values in used])
    q_var = _mean([values.q_var for values in used])
    s_va = _mean([values.s_va for values in used])
    pf = p_w / s_va if p_w is not None and s_va else None
    return replace(
        used[0],
        p_w=p_w,
        q_var=q_var,
        s_va=s_va,
        pf=pf,
        q_uncertainty_var=None,
        s_uncertainty_va=None,
        pf_uncertainty=None,
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if len(known) == len(values) else None
