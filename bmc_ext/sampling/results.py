"""What one window of samples says: values per phase and in total, and what is wrong with them.

Unknown is NaN, and a flag says why. Sums written Σ w are Hann-weighted means over the whole periods
in the window, so that neither DC nor harmonics beat with the window's ends. Powers are those of
IEEE Std 1459-2010, per phase of clause 3.1.2: P positive into the load, Q positive when the current
lags.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import IntFlag
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Harmonics = NDArray[np.float64]
"""One value per order, index = order, 0 (DC) to 50; NaN above the reachable order."""


class Flag(IntFlag):
    """What is wrong with a window or a phase; the values that it makes meaningless are NaN."""

    NO_SIGNAL = 1
    """No line-frequency voltage. Without one in any phase, and no such current either, magnitudes
    are plain means over the window and spectral values NaN."""
    CLIPPED = 2
    """Samples stand at the end of a range: magnitudes are lower bounds."""
    NOT_FINITE = 4
    """NaN, infinite or beyond 1e15 V or A: the whole phase is NaN, and so are the totals."""
    FREQUENCY_OUT_OF_RANGE = 8
    """Not 42.5 to 69 Hz: all but the mean power is NaN. Or within, but more than 15 % off the
    nominal one (IEC 61000-4-30:2015 5.1): all values hold."""
    NON_STATIONARY = 16
    """Step, ramp, modulation, phase jump, or a transient of a few samples. Weighted values are
    means; p_mean_w sees the window's edges. Beyond 2 %, or by a transient, that channel's
    distortion is NaN. The frequency is NaN when the phase jumps in all voltages: a jump is no
    frequency."""
    INTERHARMONIC = 32
    """A tone beside the fundamental: within 100 ms it cannot be told from it."""
    TOO_SHORT = 64
    """Less than three periods of 42.5 Hz (70.6 ms), or under 60 samples: all but the mean power is
    NaN."""
    LIMITED_ORDER = 128
    """The rate does not reach order 50; h_max says how far it does."""
    NO_CURRENT = 256
    """No line-frequency current: its ratios (pf, dpf, phi1, THD, K) are NaN, magnitudes hold."""
    REVERSED_SEQUENCE = 512
    """The negative sequence voltage exceeds the positive one: unbalance is NaN."""
    COARSE = 1024
    """A wave over less than 32 steps of the converter, without noise to blur them: magnitudes are
    some percent off, and the distortion is the converter's."""
    NEAR_HALF_RATE = 2048
    """0.2 % or more that is no order stands above 0.49 of the sample rate: it may be the
    mirror image of something beyond half the rate, which nothing can tell from it. Orders hold."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The set flags' names as they are shown, such as `limited-order`, in the order of bits."""
        return tuple(str(flag.name).lower().replace("_", "-") for flag in self)


class PhaseAnalysis(NamedTuple):
    """One phase in one window."""

    v_rms: float
    """V: √(Σ w v²), with DC and harmonics."""
    i_rms: float
    """A: √(Σ w i²), with DC and harmonics."""
    v_dc: float
    """V: Σ w v."""
    i_dc: float
    """A: Σ w i."""
    p_w: float
    """W: Σ w v i."""
    p_mean_w: float
    """W: plain mean of v i over all samples, the one for energy, ramps and extremes."""
    s_va: float
    """VA: v_rms · i_rms."""
    q1_var: float
    """var: Im(V1 · I1*)."""
    p1_w: float
    """W: Re(V1 · I1*)."""
    s1_va: float
    """VA: v1_rms · i1_rms."""
    n_va: float
    """VA: nonactive power √(S² − P²)."""
    di_va: float
    """VA: current distortion power V1 · I_H, I_H = √(I² − I1²)."""
    dv_va: float
    """VA: voltage distortion power V_H · I1."""
    sh_va: float
    """VA: harmonic apparent power V_H · I_H."""
    pf: float
    """1: P / S, signed."""
    dpf: float
    """1: P1 / S1 = cos φ1, signed."""
    v1_rms: float
    """V: of the fundamental."""
    i1_rms: float
    """A: of the fundamental."""
    phi1_deg: float
    """Degrees: angle of V1 minus angle of I1, −180 to 180."""
    thd_v_percent: float
    """%: √(Σ V_h², h = 2 … h_max) / V1, THD-F (IEC 61000-4-7)."""
    thd_i_percent: float
    """%: the same of the current."""
    thdr_v_percent: float
    """%: the same harmonics over √(Σ V_h², h = 1 … h_max), THD-R."""
    thdr_i_percent: float
    """%: the same of the current."""
    tdd_percent: float
    """%: √(Σ I_h², h = 2 … h_max) / demand current (IEEE 519-2022); NaN when none is given."""
    k_factor: float
    """1: Σ h² I_h² / Σ I_h², h = 1 … h_max (UL 1561)."""
    crest_v: float
    """1: largest |v| / v_rms."""
    crest_i: float
    """1: largest |i| / i_rms."""
    v_harmonics_rms: Harmonics
    """V: rms of each order over one window, not an IEC 61000-4-7 group."""
    i_harmonics_rms: Harmonics
    """A: the same of the current."""
    v_harmonics_deg: Harmonics
    """Degrees: phase of the order's cosine at the first sample."""
    i_harmonics_deg: Harmonics
    """Degrees: the same of the current."""
    flags: Flag
    """What is wrong with this phase."""
    h_max: int
    """Highest order below 0.49 of the sample rate, at most 50; 0 when the frequency is unknown."""
    v_clipped_samples: int
    """How many voltage samples stand at the end of a range."""
    i_clipped_samples: int
    """How many current samples do."""

    def to_dict(self) -> dict[str, object]:
        """All fields under their names for JSON: NaN becomes None, flags a list of names."""
        return {name: _plain(value) for name, value in self._asdict().items()}


class TotalAnalysis(NamedTuple):
    """All phases together. NaN as soon as a phase is; the lower half needs three phases."""

    p_w: float
    """W: sum of the phases."""
    p_mean_w: float
    """W: sum of the phases' plain means."""
    q1_var: float
    """var: sum of the phases."""
    s_va: float
    """VA: arithmetic apparent power, sum of the phases' (IEEE 1459-2010 3.2.2)."""
    s_effective_va: float
    """VA: 3 Ve Ie, 3 Ie² = ΣI² + In², 18 Ve² = 3 ΣV² + ΣV_line² (IEEE 1459-2010 3.2.3)."""
    pf: float
    """1: p_w / s_va, signed."""
    pf_effective: float
    """1: p_w / s_effective_va, signed."""
    v_positive_rms: float
    """V: positive sequence of the fundamentals, |V1 + a V2 + a² V3| / 3."""
    v_negative_rms: float
    """V: negative sequence, |V1 + a² V2 + a V3| / 3."""
    v_zero_rms: float
    """V: zero sequence, |V1 + V2 + V3| / 3."""
    i_positive_rms: float
    """A: positive sequence of the current."""
    i_negative_rms: float
    """A: negative sequence of the current."""
    i_zero_rms: float
    """A: zero sequence of the current."""
    u2_percent: float
    """%: negative over positive sequence voltage (IEC 61000-4-30:2015 5.7)."""
    u0_percent: float
    """%: zero over positive sequence voltage (5.7)."""
    i_neutral: float
    """A: rms of the sum of the phase currents, what a neutral conductor carries."""

    def to_dict(self) -> dict[str, object]:
        """All fields under their names for JSON: NaN becomes None."""
        return {name: _plain(value) for name, value in self._asdict().items()}


def _plain(value: object) -> object:
    """The value as JSON knows it."""
    if isinstance(value, Flag):
        return list(value.labels)
    if isinstance(value, np.ndarray):
        return _known(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _known(values: Sequence[float]) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values]
