"""Bad arguments are a ValueError that names them; good ones are read in place and in parallel."""

from __future__ import annotations

import math
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from bmc_ext.sampling._core import ffi
from polyphase_waves import only_fundamental, sampled, three_phase

import bmc_ext.sampling
from bmc_ext.sampling import ChannelCorrection, Flag, PhaseAnalysis, TotalAnalysis, analyze

WAVE = sampled(only_fundamental(three_phase(230)), 50.2, 12800, 1280).samples

BAD_ARRAYS: dict[str, tuple[Any, str]] = {
    "list": (WAVE.tolist(), "voltage is list"),
    "integers": (WAVE.astype(np.int32), "dtype int32"),
    "half precision": (WAVE.astype(np.float16), "dtype float16"),
    "complex": (WAVE.astype(np.complex128), "dtype complex128"),
    "other byte order": (WAVE.astype(">f8"), "dtype >f8"),
    "three dimensions": (WAVE.reshape(3, 2, 640), "3 dimensions"),
    "no dimension": (np.array(1.0), "0 dimensions"),
    "columns": (np.asfortranarray(WAVE), "C-contiguous"),
    "every other sample": (np.repeat(WAVE, 2, axis=1)[:, ::2], "C-contiguous"),
    "backwards": (WAVE[:, ::-1], "C-contiguous"),
    "misaligned": (
        np.frombuffer(b"\0" + WAVE.tobytes(), np.uint8)[1:].view(np.float64).reshape(3, 1280),
        "aligned",
    ),
    "with a mask": (np.ma.masked_greater(WAVE, 300), "voltage has a mask"),
    "empty": (np.empty((3, 0)), "no samples"),
    "no phases": (np.empty((0, 1280)), "no samples"),
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_an_array_that_does_not_fit_is_named(name: str) -> None:
    """The message says which array and what about it."""
    array, text = BAD_ARRAYS[name]
    with pytest.raises(ValueError, match=text):
        analyze(array, WAVE, 12800)
    with pytest.raises(ValueError, match=text.replace("voltage", "current")):
        analyze(WAVE, array, 12800)


def test_shapes_must_agree() -> None:
    """Voltage and current of different shape are told with both shapes."""
    with pytest.raises(ValueError, match=r"\(3, 1280\).*\(2, 1280\)"):
        analyze(WAVE, WAVE[:2], 12800)


def test_at_most_three_phases() -> None:
    """Four phases are refused."""
    four = np.vstack([WAVE, WAVE[:1]])
    with pytest.raises(ValueError, match="phases"):
        analyze(four, four, 12800)


@pytest.mark.parametrize("rate_hz", [0, -12800, 100, 2e6, math.nan, math.inf])
def test_a_sample_rate_must_be_one(rate_hz: float) -> None:
    """Rates that no analysis could use are refused."""
    with pytest.raises(ValueError, match="sample rate"):
        analyze(WAVE, WAVE, rate_hz)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"nominal_hz": 400}, "nominal"),
        ({"nominal_hz": math.nan}, "nominal"),
        ({"skew_s": 1.0}, "skew"),
        ({"skew_s": math.nan}, "skew"),
        ({"skew_s": [0.0, 0.0]}, "skew_s has 2 values for 3 phases"),
        ({"demand_current_a": -1.0}, "demand"),
        ({"corrections": [ChannelCorrection()]}, "1 entries for 6 channels"),
        ({"corrections": [ChannelCorrection(gain=0.0)] * 6}, "gain"),
        ({"corrections": [ChannelCorrection(offset=math.nan)] * 6}, "offset"),
        ({"corrections": [ChannelCorrection(phase_rad=0.6)] * 6}, "phase"),
        ({"corrections": [ChannelCorrection(delay_s=-0.02)] * 6}, "delay"),
    ],
)
def test_options_are_checked(options: dict[str, Any], text: str) -> None:
    """An option out of its bounds is named."""
    with pytest.raises(ValueError, match=text):
        analyze(WAVE, WAVE, 12800, **options)


def test_a_window_of_more_than_two_seconds_is_refused() -> None:
    """A frequency over so long a window would be a mean of many."""
    long = np.tile(WAVE, 21)
    with pytest.raises(ValueError, match="2 s"):
        analyze(long, long, 12800)


def test_one_row_is_one_phase() -> None:
    """A flat array is a single phase."""
    flat, row = analyze(WAVE[0], WAVE[0], 12800), analyze(WAVE[:1], WAVE[:1], 12800)
    assert len(flat.phases) == 1
    assert flat.phases[0].p_w == row.phases[0].p_w == flat.total.p_w


def test_results_outlive_the_next_call_and_cannot_be_changed() -> None:
    """Nothing of a result points into memory that is used again."""
    first = analyze(WAVE, WAVE, 12800)
    kept = first.phases[0].v_harmonics_rms.copy()
    analyze(2 * WAVE, WAVE, 12800)
    assert np.array_equal(first.phases[0].v_harmonics_rms, kept, equal_nan=True)
    with pytest.raises(ValueError, match="read-only"):
        first.phases[0].v_harmonics_rms[1] = 0


def test_samples_are_read_in_place_and_left_alone() -> None:
    """A read-only array is analysed, and unchanged."""
    wave = WAVE.copy()
    wave.flags.writeable = False
    analyze(wave, wave, 12800)
    assert np.array_equal(wave, WAVE)


def test_threads_do_not_disturb_each_other() -> None:
    """Different windows analysed by eight threads at once read what they read alone."""
    rng = np.random.default_rng(12)
    windows = []
    for rate_hz in (4800, 7200.5, 12800, 51200):
        for phases in (1, 2, 3):
            phasors = only_fundamental(three_phase(rng.uniform(1, 300)))[:phases]
            rows = sampled(phasors, rng.uniform(45, 65), rate_hz, int(rate_hz / 10)).samples
            windows.append((rows, rows.astype(np.float32), rate_hz))
    alone = [analyze(*window).to_dict() for window in windows]
    picks = rng.integers(len(windows), size=800)
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda k: analyze(*windows[k]).to_dict(), picks))
    assert together == [alone[k] for k in picks]


def test_other_threads_run_while_the_core_works() -> None:
    """The interpreter's lock is released: a thread that never gets it by force runs too."""
    long = np.tile(WAVE, 20)
    turns = 0
    done = threading.Event()

    def count() -> None:
        nonlocal turns
        while not done.is_set():
            turns += 1
            time.sleep(0)

    before = sys.getswitchinterval()
    sys.setswitchinterval(60)
    try:
        other = threading.Thread(target=count)
        other.start()
        start = turns
        for _ in range(20):
            analyze(long, long, 12800)
        counted = turns - start
        done.set()
        other.join()
    finally:
        sys.setswitchinterval(before)
    assert counted >= 10


def test_results_are_laid_out_as_the_header_says() -> None:
    """The fields have the names and the order of the core's structures."""
    for name, result in (("dcpi_phase", PhaseAnalysis), ("dcpi_total", TotalAnalysis)):
        assert tuple(field for field, _ in ffi.typeof(name).fields) == result._fields


def test_flags_are_those_of_the_header() -> None:
    """Each flag has the core's name and value."""
    core = ffi.typeof("dcpi_flag").relements
    assert {f"DCPI_{flag.name}": flag.value for flag in Flag} == core


def test_the_public_names_are_these() -> None:
    """What other rooms may use of the core."""
    expected = {
        "Analysis",
        "ChannelCorrection",
        "Flag",
        "PhaseAnalysis",
        "TotalAnalysis",
        "analyze",
    }
    assert expected <= set(bmc_ext.sampling.__all__)
