"""What the cycles of a line say: values over actual cycles, apart from those of 100 ms.

Unknown is NaN, and a flag says why. Magnitudes are root-mean-square.
"""

from __future__ import annotations

import math
from enum import IntFlag
from typing import NamedTuple

import numpy as np

from bmc_ext.sampling.results import Harmonics


class CycleFlag(IntFlag):
    """What is wrong with a value.

    DIP, SWELL and INTERRUPTION are the flagging concept of IEC 61000-4-30:2015 4.7: the value is
    kept, but should not count in statistics.
    """

    DIP = 1
    """Urms(½) of a phase below 90 % of the declared or the sliding reference voltage (5.4.2)."""
    SWELL = 2
    """Urms(½) of a phase above 110 % of it (5.4.3)."""
    INTERRUPTION = 4
    """Urms(½) of all phases below 5 % of it (5.5)."""
    NO_REFERENCE = 8
    """No line voltage: cycles of the last known length; spectral values are NaN."""
    FREQUENCY_OUT_OF_RANGE = 16
    """More than 15 % off the nominal one (5.1.1): spectral values are NaN."""
    NOT_FINITE = 32
    """NaN, infinite or beyond 1e15 V or A: that phase is NaN, and so are the sums."""
    OVERLAP = 64
    """Goes on beyond a 10 min tick, at which other intervals have begun (4.5)."""
    LIMITED_ORDER = 128
    """The rate does not reach order 50; h_max says how far it does."""
    INCOMPLETE = 256
    """Of 10 min: it began late, or samples are missing."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The set flags' names as they are shown, such as `no-reference`."""
        return tuple(str(flag.name).lower().replace("_", "-") for flag in self)


class HalfCycle(NamedTuple):
    """One cycle of one phase, refreshed every half-cycle (IEC 61000-4-30:2015 5.4.1)."""

    start_ns: int
    """UTC in ns: of the cycle's start, a zero crossing of that phase's fundamental voltage."""
    end_ns: int
    """UTC in ns: of its end."""
    phase: int
    """Index of the phase."""
    v_rms: float
    """V: Urms(½) = √(1/T ∫ v² dt) over one cycle."""
    i_rms: float
    """A: Irms(½), over the same cycle."""
    flags: CycleFlag


class TenSecondFrequency(NamedTuple):
    """The frequency of 10 s of UTC (IEC 61000-4-30:2015 5.1.1)."""

    start_ns: int
    """UTC in ns: the 10 s tick."""
    frequency_hz: float
    """Hz: whole cycles within the 10 s over their duration; NaN without voltage or with a gap."""
    cycles: int
    """Whole cycles."""
    duration_s: float
    """s: of these cycles."""


class CycleChannel(NamedTuple):
    """One voltage in V or current in A.

    C_k is the rms of bin k of the discrete Fourier transform over exactly N = 10 or 12 cycles, with
    a rectangular window (IEC 61000-4-7:2002+A1:2008 4.4.1); bin hN is order h. Arrays are indexed
    by order, NaN above h_max. Not smoothed over 1.5 s as 5.5.1 has it for limits of emission:
    `CycleSmoothing` does that.
    """

    rms: float
    """√(1/T ∫ x² dt), with DC and all harmonics (IEC 61000-4-30:2015 5.2.1)."""
    fundamental_rms: float
    """C_N."""
    thd_percent: float
    """%: √Σ(C_hN)² / C_N over h = 2 to h_max (3.3.1)."""
    thdg_percent: float
    """%: √Σ(G_h)² / G_1 (3.3.2)."""
    thds_percent: float
    """%: √Σ(SG_h)² / SG_1 (3.3.3)."""
    harmonics: Harmonics
    """C_hN; order 0 the magnitude of the mean."""
    groups: Harmonics
    """G_h = √(½C²_(hN-N/2) + Σ C²_(hN+i) + ½C²_(hN+N/2)), |i| < N/2 (formula 8)."""
    subgroups: Harmonics
    """SG_h = √(C²_(hN-1) + C²_hN + C²_(hN+1)) (formula 9)."""
    interharmonics: Harmonics
    """Centred subgroup between h and h + 1: √Σ C²_(hN+i), i = 2 to N - 2 (A.3)."""


class CyclePhase(NamedTuple):
    """One phase."""

    p_w: float
    """W: 1/T ∫ v·i dt."""
    q1_var: float
    """var: Im(V1 · I1*), inductive positive."""
    voltage: CycleChannel
    current: CycleChannel


class CycleValues(NamedTuple):
    """One interval, or an aggregate of several."""

    start_ns: int
    """UTC in ns: the first zero crossing; of 10 min the tick."""
    end_ns: int
    """UTC in ns: the last zero crossing; of 10 min the next tick."""
    duration_s: float
    """s: of the cycles."""
    cycles: int
    """10 or 12; 150 or 180; of 10 min as many as there were."""
    h_max: int
    """Highest order that the rate reaches, at most 50."""
    intervals: int
    """How many 10/12-cycle values it holds."""
    flagged: int
    """How many of these a dip, swell or interruption marks (4.7)."""
    flags: CycleFlag
    """Of all of them."""
    frequency_hz: float
    """Hz: cycles / duration_s."""
    p_w: float
    """W: sum of the phases."""
    q1_var: float
    """var: sum of the phases."""
    u2_percent: float
    """%: negative over positive sequence voltage of the fundamental (5.7.1)."""
    u0_percent: float
    """%: zero over positive sequence voltage."""
    phases: tuple[CyclePhase, ...]

    def to_dict(self) -> dict[str, object]:
        """The values for JSON: NaN becomes None, flags a list of names."""
        plain = {name: _plain(value) for name, value in self._asdict().items() if name != "phases"}
        return plain | {"phases": [_phase_dict(phase) for phase in self.phases]}


def _phase_dict(phase: CyclePhase) -> dict[str, object]:
    return {
        "p_w": _plain(phase.p_w),
        "q1_var": _plain(phase.q1_var),
        "voltage": {name: _plain(value) for name, value in phase.voltage._asdict().items()},
        "current": {name: _plain(value) for name, value in phase.current._asdict().items()},
    }


def _plain(value: object) -> object:
    """The value as JSON knows it."""
    if isinstance(value, CycleFlag):
        return list(value.labels)
    if isinstance(value, np.ndarray):
        return [item if math.isfinite(item) else None for item in value.tolist()]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
