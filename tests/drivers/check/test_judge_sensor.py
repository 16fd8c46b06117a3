"""Verdicts on a point, from made-up samples: no device, no clock."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from drivers.check.finding import Finding, Verdict
from drivers.check.judge_sensor import judge_point
from drivers.check.limits import LIMITS
from drivers.check.observations import PointObservation, Reference
from drivers.check.series import Series

LAB = Reference("lab.csv")


def series(times: np.ndarray, values: np.ndarray, uncertainty: float = np.nan) -> Series:
    """A series with one uncertainty for all."""
    return Series(times, values, np.full(len(times), uncertainty))


def observed(
    quantity: str,
    device: Series,
    reference: Series | None = None,
    fast: Series | None = None,
) -> PointObservation:
    """A point that was always there."""
    return PointObservation(
        name="p", unit=LIMITS[quantity].unit, quantity=quantity, monotonic=False, resolution=0.0,
        own_range=None, source_s=0.1, polled=device, fast=fast or device, ok_share=1.0,
        qualities={}, reference=reference,
    )  # fmt: skip


def verdicts(
    point: PointObservation, reference: Reference | None = LAB, ambient: Series | None = None
) -> dict[str, Finding]:
    """The findings by requirement."""
    assert point.quantity is not None
    found = judge_point(point, LIMITS[point.quantity], reference, ambient)
    return {finding.requirement: finding for finding in found}


TIMES = np.arange(0.0, 30.0, 0.1)
SLOW = np.sin(2.0 * np.pi * TIMES / 20.0)


def biased(quantity: str, level: float, error: float, uncertainty: float) -> PointObservation:
    """A slowly moving truth around `level`, and a device that is wrong by `error`."""
    size = max(1e-3, 1e-4 * level)
    truth = level + size * SLOW
    return observed(quantity, series(TIMES, truth + error), series(TIMES, truth, uncertainty))


@pytest.mark.parametrize(
    ("quantity", "level", "allowed"),
    [
        ("power", 200_000.0, 1000.0),  # 0.5 % of reading
        ("inlet", 20.0, 0.1),
        ("outlet", 60.0, 0.1),
        ("coolant", 40.0, 0.1),
        ("silicon", 80.0, 0.5),
        ("flow", 2000.0, 20.0),  # 1 % of reading
        ("pressure", 3.0, 0.025),  # 0.25 % of 10 bar
        ("heat", 100_000.0, 2000.0),  # 2 % of reading
    ],
)
def test_an_error_up_to_the_limit_passes_and_beyond_it_fails(
    quantity: str, level: float, allowed: float
) -> None:
    """The limit of each quantity is where the verdict turns, in both directions."""
    for sign in (1.0, -1.0):
        inside = biased(quantity, level, sign * 0.97 * allowed, 0.001 * allowed)
        beyond = biased(quantity, level, sign * 1.06 * allowed, 0.001 * allowed)
        assert verdicts(inside)["accuracy"].verdict is Verdict.PASS
        assert verdicts(beyond)["accuracy"].verdict is Verdict.FAIL


@pytest.mark.parametrize("error", [0.0, 0.5])
def test_a_reference_above_a_quarter_of_the_limit_tells_nothing(error: float) -> None:
    """At 24 % of the limit the reference judges; at 26 % it neither passes nor fails anything."""
    good, poor = (biased("silicon", 80.0, error * 2, share * 0.5) for share in (0.22, 0.26))
    assert verdicts(good)["accuracy"].verdict is (Verdict.FAIL if error else Verdict.PASS)
    found = verdicts(poor)["accuracy"]
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "at most 25 %" in found.reason


def test_just_beyond_the_limit_is_told_only_beyond_the_reference() -> None:
    """An excess that the reference's own uncertainty could explain is not a failure."""
    found = verdicts(biased("silicon", 80.0, 0.55, 0.1))["accuracy"]
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "less than the reference's uncertainty" in found.reason


@pytest.mark.parametrize(
    ("reference", "said"),
    [(None, "no reference"), (Reference("x", simulated=True), "is a simulation")],
)
def test_without_a_real_reference_nothing_is_accurate(
    reference: Reference | None, said: str
) -> None:
    """No reference, or a simulated one, makes accuracy and stability inconclusive, never PASS."""
    found = verdicts(biased("silicon", 80.0, 0.0, 0.001), reference)
    for requirement in ("accuracy", "stability"):
        assert found[requirement].verdict is Verdict.INCONCLUSIVE
        assert said in found[requirement].reason


def test_an_unknown_uncertainty_is_no_good_one() -> None:
    """A reference that does not say how good it is gives INCONCLUSIVE."""
    found = verdicts(biased("silicon", 80.0, 0.0, np.nan))["accuracy"]
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "uncertainty" in found.reason


def test_one_bad_part_of_the_range_is_enough_to_fail() -> None:
    """A device that is right at most values and wrong near the top fails."""
    times = np.arange(0.0, 3000.0, 0.5)
    truth = 20.0 + 60.0 * times / 3000.0
    wrong = np.where(truth > 75.0, 0.2, 0.0)
    point = observed("coolant", series(times, truth + wrong), series(times, truth, 0.001))
    found = verdicts(point)["accuracy"]
    assert found.verdict is Verdict.FAIL
    assert found.numbers["mean_error"] == pytest.approx(0.2 * 5.0 / 60.0, rel=0.05)
    assert "lag_s" not in found.numbers  # a ramp fits at any lag, so none is taken out


def test_a_moving_truth_is_compared_at_the_device_s_own_instants() -> None:
    """A device that is 0.7 s late but right passes, and its lag is reported."""
    wave = 2000.0 + 100.0 * np.sin(2 * np.pi * TIMES / 15.0)
    late = 2000.0 + 100.0 * np.sin(2 * np.pi * (TIMES - 0.7) / 15.0)
    found = verdicts(observed("flow", series(TIMES, late), series(TIMES, wave, 0.5)))["accuracy"]
    assert found.verdict is Verdict.PASS
    assert found.numbers["lag_s"] == pytest.approx(0.7, abs=0.06)


def test_a_held_value_is_not_held_against_the_device() -> None:
    """A right device that measures once a second is compared when it measures, not in between."""
    truth = 80.0 + 3.0 * np.sin(2 * np.pi * TIMES / 24.0)
    held = 80.0 + 3.0 * np.sin(2 * np.pi * np.floor(TIMES + 1e-9) / 24.0)
    found = verdicts(observed("silicon", series(TIMES, held), series(TIMES, truth, 0.01)))
    assert found["accuracy"].verdict is Verdict.PASS
    assert found["sampling-rate"].verdict is Verdict.FAIL


@pytest.mark.parametrize("frozen", [(15.0, 30.0), (7.0, 9.0)])
def test_a_device_that_freezes_for_a_while_is_not_accurate(frozen: tuple[float, float]) -> None:
    """Right before, and held while the truth moved on: what is shown then is wrong."""
    wave = 2000.0 + 400.0 * np.sin(2 * np.pi * TIMES / 37.0)
    held = (frozen[0] <= TIMES) & (frozen[1] > TIMES)
    shown = np.where(held, wave[np.argmax(held)], wave)
    found = verdicts(observed("flow", series(TIMES, shown), series(TIMES, wave, 0.5)))["accuracy"]
    assert found.verdict is Verdict.FAIL


def test_a_hole_in_the_reference_tells_nothing() -> None:
    """A straight line across a hole is no truth: a right device passes on what is left."""
    truth = 2000.0 + 400.0 * np.sin(2 * np.pi * TIMES / 17.0)
    there = (TIMES < 6.0) | (TIMES > 22.0)
    gone = np.where(there, truth, np.nan)
    for lab in (series(TIMES, gone, 0.5), series(TIMES[there], truth[there], 0.5)):
        found = verdicts(observed("flow", series(TIMES, truth), lab))["accuracy"]
        assert found.verdict is Verdict.PASS
        assert found.numbers["samples"] < there.sum()


def test_a_curve_between_two_samples_of_the_reference_is_not_the_device_s_error() -> None:
    """A right device that is read between the samples of a slower table does not fail."""
    truth = 2000.0 + 400.0 * np.sin(2 * np.pi * TIMES / 10.0)
    slow = series(TIMES[::10], truth[::10], 0.5)
    times = np.arange(0.0, 29.0, 0.02)
    shown = series(times, 2000.0 + 400.0 * np.sin(2 * np.pi * times / 10.0))
    assert verdicts(observed("flow", shown, slow))["accuracy"].verdict is not Verdict.FAIL


def clocked(every_s: float, span_s: float) -> Series:
    """A value that is new every so often, polled every 10 ms."""
    times = np.arange(0.0, span_s, 0.01)
    return series(times, 80.0 + np.sin(np.floor(times / every_s + 1e-9)))


@pytest.mark.parametrize(
    ("every_s", "verdict"), [(0.04, "PASS"), (0.1, "PASS"), (0.13, "FAIL"), (1.0, "FAIL")]
)
def test_the_sampling_rate_is_counted(every_s: float, verdict: str) -> None:
    """10 Hz is met at 100 ms and not at 130 ms between changes."""
    point = observed("silicon", clocked(every_s, 10.0))
    found = verdicts(point, None)["sampling-rate"]
    assert found.verdict == verdict
    assert found.numbers["refresh_s"] == pytest.approx(every_s, abs=0.006)


@pytest.mark.parametrize(
    ("pauses", "verdict"), [((0.05, 1.55), "INCONCLUSIVE"), ((0.05, 0.05, 0.05, 1.0), "PASS")]
)
def test_some_quick_changes_prove_no_rate(pauses: tuple[float, ...], verdict: str) -> None:
    """Where the signal pauses most changes must be quick, not a few: bursts are no 10 Hz."""
    times = np.arange(0.0, 30.0, 0.01)
    changes = np.cumsum(np.tile(pauses, 60))
    values = 80.0 + np.sin(np.searchsorted(changes, times + 1e-9, side="right"))
    found = verdicts(observed("silicon", series(times, values)), None)["sampling-rate"]
    assert found.verdict == verdict


def test_what_never_changed_is_unknown_and_not_slow() -> None:
    """A constant value says nothing about the rate."""
    times = np.arange(0.0, 10.0, 0.01)
    found = verdicts(observed("silicon", series(times, np.full(len(times), 80.0))), None)
    assert found["sampling-rate"].verdict is Verdict.INCONCLUSIVE
    assert "unknown, not slow" in found["sampling-rate"].reason
    assert found["noise"].verdict is Verdict.INCONCLUSIVE


def test_a_slow_ramp_through_coarse_steps_is_a_quiet_signal() -> None:
    """Steps of one register at even intervals are the signal's clock, not the device's."""
    times = np.arange(0.0, 10.0, 0.01)
    found = verdicts(observed("silicon", series(times, np.floor(times * 2.0) * 0.5)), None)
    assert found["sampling-rate"].verdict is Verdict.INCONCLUSIVE


def test_a_stuck_device_is_found_by_the_reference() -> None:
    """No change while the truth moved is a failure of the rate and no proof of accuracy."""
    truth = 80.0 + 0.1 * SLOW
    point = observed(
        "silicon", series(TIMES, np.full(len(TIMES), 80.0)), series(TIMES, truth, 0.01)
    )
    found = verdicts(point)
    assert found["sampling-rate"].verdict is Verdict.FAIL
    assert found["accuracy"].verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("delay_s", "verdict"), [(0.4, "PASS"), (0.9, "PASS"), (1.3, "FAIL"), (8.0, "FAIL")]
)
def test_the_response_to_a_step_is_timed(delay_s: float, verdict: str) -> None:
    """7.2.2 asks 1 s; a step that never shows fails too."""
    truth = np.where(TIMES < 15.0, 1000.0, 1500.0) + 0.1 * SLOW
    device = np.where(TIMES - delay_s < 15.0, 1000.0, 1500.0) + 0.1 * SLOW
    found = verdicts(observed("flow", series(TIMES, device), series(TIMES, truth, 0.5)))
    assert found["response"].verdict == verdict


def test_a_reference_that_is_late_itself_times_nothing() -> None:
    """The device showed the step before the reference did: that is no missing answer."""
    truth = np.where(TIMES < 15.0, 1000.0, 1500.0) + 0.1 * SLOW
    table = np.where(TIMES < 17.0, 1000.0, 1500.0) + 0.1 * SLOW
    found = verdicts(observed("flow", series(TIMES, truth), series(TIMES, table, 0.5)))["response"]
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "late itself" in found.reason


@pytest.mark.parametrize("stays_s", [1.5, 4.0])
def test_a_reference_that_leaves_a_step_again_is_followed(stays_s: float) -> None:
    """A prompt device that goes back with the reference did not fail to answer."""
    truth = np.where((TIMES > 15.0) & (15.0 + stays_s >= TIMES), 1500.0, 1000.0) + 0.1 * SLOW
    found = verdicts(observed("flow", series(TIMES, truth), series(TIMES, truth, 0.5)))["response"]
    assert found.verdict is (Verdict.PASS if stays_s > 3.0 else Verdict.INCONCLUSIVE)


@pytest.mark.parametrize(
    ("delay_s", "verdict"), [(0.5, "PASS"), (0.9, "INCONCLUSIVE"), (1.1, "INCONCLUSIVE"),
                             (1.7, "FAIL")]
)  # fmt: skip
def test_a_slow_reference_times_a_step_no_better_than_it_is_read(
    delay_s: float, verdict: str
) -> None:
    """Between two of its samples, 0.4 s apart, the step may have been anywhere."""
    truth = np.where(TIMES < 15.05, 1000.0, 1500.0) + 0.1 * SLOW
    device = np.where(TIMES - delay_s < 15.05, 1000.0, 1500.0) + 0.1 * SLOW
    lab = series(TIMES[::4], truth[::4], 0.5)
    assert verdicts(observed("flow", series(TIMES, device), lab))["response"].verdict == verdict


def test_a_step_before_the_device_was_watched_hides_no_other() -> None:
    """The table began earlier and shows a larger step there; the device answered the later one."""
    times = np.arange(-20.0, 30.0, 0.1)
    truth = np.select([times < -10.0, times < 15.0], [0.0, 1000.0], 1500.0)
    watched = times >= 0.0
    device = series(times[watched], truth[watched] + 0.1 * SLOW[: watched.sum()])
    found = verdicts(observed("flow", device, series(times, truth, 0.5)))["response"]
    assert found.verdict is Verdict.PASS


def test_without_a_step_a_response_is_not_proven() -> None:
    """A slow wave shows a lag, not a response."""
    assert verdicts(biased("flow", 2000.0, 0.0, 0.5))["response"].verdict is Verdict.INCONCLUSIVE


def test_noise_and_drift_are_told_apart() -> None:
    """White noise fails the noise and not the stability, a drift the other way round."""
    noise = np.random.default_rng(3).normal(0.0, 0.4, len(TIMES))
    truth = 80.0 + SLOW
    noisy = observed("silicon", series(TIMES, truth + noise), series(TIMES, truth, 0.01))
    drifting = observed("silicon", series(TIMES, truth + 0.05 * TIMES), series(TIMES, truth, 0.01))
    assert verdicts(noisy)["noise"].verdict is Verdict.FAIL
    assert verdicts(noisy)["stability"].verdict is Verdict.PASS
    assert verdicts(drifting)["noise"].verdict is Verdict.PASS
    assert verdicts(drifting)["stability"].verdict is Verdict.FAIL


def test_noise_without_a_reference_may_be_the_signal_s() -> None:
    """A quiet signal bounds the device's noise; a restless one proves nothing."""
    noise = np.random.default_rng(3).normal(0.0, 1.0, len(TIMES))
    quiet = observed("silicon", series(TIMES, 80.0 + SLOW))
    restless = observed("silicon", series(TIMES, 80.0 + noise))
    assert verdicts(quiet, None)["noise"].verdict is Verdict.PASS
    assert verdicts(restless, None)["noise"].verdict is Verdict.INCONCLUSIVE


def test_the_range_counts_as_far_as_the_device_goes() -> None:
    """A sweep over the device's own range passes, and says that the standard's is wider."""
    times = np.arange(0.0, 3000.0, 1.0)
    truth = 4.0 * times / 3000.0
    point = observed("pressure", series(times, truth), series(times, truth, 0.001))
    assert verdicts(point)["range"].verdict is Verdict.INCONCLUSIVE
    found = verdicts(replace(point, own_range=(0.0, 4.0)))["range"]
    assert found.verdict is Verdict.PASS
    assert "0 bar to 10 bar" in found.reason


def test_a_step_from_end_to_end_is_no_sweep() -> None:
    """Two values at the ends leave the parts between them unproven."""
    truth = np.where(TIMES < 15.0, 0.1, 9.9)
    point = observed("pressure", series(TIMES, truth), series(TIMES, truth, 0.001))
    found = verdicts(point)
    assert found["accuracy"].verdict is Verdict.PASS
    assert found["range"].verdict is Verdict.INCONCLUSIVE
    assert "2 of 10 parts" in found["range"].measured


def test_compensation_needs_a_temperature_that_moves() -> None:
    """7.2.3 is judged by the accuracy only when the device itself went through 9 K."""
    good = biased("pressure", 3.0, 0.0, 0.001)
    bad = biased("pressure", 3.0, 0.1, 0.001)
    still, moving = series(TIMES, 20.0 + SLOW), series(TIMES, 20.0 + 6.0 * SLOW)
    assert verdicts(good, LAB, still)["compensation"].verdict is Verdict.INCONCLUSIVE
    assert verdicts(good, LAB, moving)["compensation"].verdict is Verdict.PASS
    assert verdicts(bad, LAB, moving)["compensation"].verdict is Verdict.FAIL
