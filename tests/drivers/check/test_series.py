"""What samples of a point tell of its registers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from drivers.check.series import Series, falls, resolution
from drivers.profile import load_profile

_SCALED = """\
profile: device-profile/1
id: acme.scaled
vendor: ACME
model: S1
kind: PowerMeter
sources: [{ref: made up, verified: restated}]
transport: {modes: [tcp], max_regs: 20}
defaults: {fc: 3, type: u16, group: fast}
groups:
  fast: {every_ms: 100, source_ms: 100, stale_after_ms: 500}
points:
  power: {addr: 0, unit: kW, scale_by: exponent, factor_by: ratio}
  exponent: {addr: 1, type: i16, unit: "1"}
  ratio: {addr: 2, unit: "1"}
  volume: {addr: 3, unit: m3, fraction: thousandths, monotonic: true}
  thousandths: {addr: 4, unit: "1", scale: 0.001}
"""


def test_a_step_is_what_the_registers_make_of_it_together(tmp_path: Path) -> None:
    """Ten to the exponent times the ratio widens a step, a fraction makes it finer."""
    path = tmp_path / "scaled.yaml"
    path.write_text(_SCALED)
    profile = load_profile(path)
    times = [0.0, 1.0]
    polled = {"exponent": Series.of(times, [-1.0, np.nan]), "ratio": Series.of(times, [20.0, 40.0])}
    assert resolution(profile, profile.point("power"), polled) == pytest.approx(4000.0)  # W
    step = resolution(profile, profile.point("volume"), polled)
    assert step == pytest.approx(0.001)
    total = Series.of([0.0, 1.0, 2.0], [7.5, 7.499, 7.4])
    np.testing.assert_allclose(falls(total, step), [0.099])
