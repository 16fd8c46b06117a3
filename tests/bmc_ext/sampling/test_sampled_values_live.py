"""Sampled values over a veth pair from independent publishers, live into samplers.

All units publish at once on the same wire, so each sampler also has to leave the others alone.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from veth import Measured, Wire

from bmc_ext.sampling.sampler import Window
from drivers.waveforms.sampled_values import SampledValues

V_RMS, I_RMS, ANGLE_DEG = 57_735.0, 100.0, 30.0
P_W = 3 * V_RMS * I_RMS * math.cos(math.radians(ANGLE_DEG))
HEARD = 6
"""Windows after the start from which on the stream is surely followed (0.25 s of listening)."""
TIMED = 18
"""Likewise of a stream on its own time, which is measured for one second first."""
QUALITIES = {
    1: "invalid",
    2: "invalid",
    3: "questionable",
    0x4: "overflow",
    0x40: "failure",
    0x800: "test",
    0x1000: "operator-blocked",
    0x8000: "unknown-quality",
}


def spoilt() -> list[list[Any]]:
    """Five samples of each bad quality, in every other window; the others are `derived`, good."""
    changes: list[list[Any]] = []
    for number, quality in enumerate(QUALITIES):
        at = (HEARD + 1 + 2 * number) * 400 + 37
        changes += [[at, {"quality": quality}], [at + 5, {"quality": 0x2000}]]
    return changes


PLAIN = ("4000x1", "4800x2", "14400x6", "12800x8")
UNITS: dict[str, dict[str, Any]] = {
    "4000x1": {"rate": 4000, "asdus": 1, "seconds": 1.8},
    "4800x2": {"rate": 4800, "asdus": 2, "seconds": 1.8, "vlan": 10},
    "14400x6": {"rate": 14400, "asdus": 6, "seconds": 1.8, "channels": 6},
    "12800x8": {"rate": 12800, "asdus": 8, "seconds": 1.8, "garbage": True},
    "lost": {"seconds": 1.8, "lose": [[2810, 2811], [3601, 3611], [4600, 5700]]},
    "quality": {"seconds": 2.6, "change": spoilt()},
    "accepted": {"seconds": 0.9, "quality": 0x803},
    "simulated": {
        "seconds": 1.3, "change": [[2800, {"simulated": True}], [3600, {"simulated": False}]],
    },
    "laboratory": {"seconds": 0.9, "simulated": True},
    "synchronisation": {
        "seconds": 1.3,
        "change": [[2800, {"synch": 0}], [3200, {"synch": 1}], [3600, {"synch": 2}]],
    },
    "restarted": {
        "seconds": 3.2, "synch": 0, "lose": [[8800, 9000]],
        "change": [[9000, {"offset": -900, "conf_rev": 2}]],
    },
    "rolling": {"seconds": 2.6, "synch": 0, "wrap": 65536, "offset": 65536 - 10_000},
}  # fmt: skip
ACCEPTED = {"accepted": ("test", "questionable"), "laboratory": ("simulated",)}


@pytest.fixture(scope="module")
def measured(wire: Wire) -> dict[str, Measured]:
    """What each unit's sampler delivered; windows are numbered from the publisher's first."""

    def measure(item: tuple[int, str]) -> tuple[str, Measured]:
        number, name = item
        wanted = SampledValues(
            stream=f"MU0{number}", vlan=UNITS[name].get("vlan"), accept=ACCEPTED.get(name, ())
        )
        appid = 0x4000 + number if number % 2 else None
        unit = {"sv_id": f"MU0{number}", "appid": 0x4000 + number, **UNITS[name]}
        return name, wire.measure(wanted, appid, **unit)

    with ThreadPoolExecutor(len(UNITS)) as pool:
        return dict(pool.map(measure, enumerate(UNITS)))


def check_power(window: Window) -> None:
    """The window holds the power that was sent."""
    assert window.analysis is not None, window
    assert math.isclose(window.analysis.total.p_w, P_W, rel_tol=1e-5)


def check_true(window: Window) -> None:
    """The window holds what was sent, at its time: the wave's phase is known at each window."""
    check_power(window)
    assert window.analysis is not None
    assert math.isclose(window.analysis.frequency_hz, 50.0, abs_tol=1e-4)
    for phase, shift in zip(window.analysis.phases, (0.0, -120.0, 120.0), strict=True):
        assert math.isclose(phase.v_rms, V_RMS, rel_tol=1e-5)
        assert math.isclose(phase.i_rms, I_RMS, rel_tol=1e-4)
        off = (phase.v_harmonics_deg[1] - shift + 180) % 360 - 180
        assert abs(off) < 0.01
        assert math.isclose(phase.phi1_deg, ANGLE_DEG, abs_tol=0.01)


@pytest.mark.parametrize("name", PLAIN)
def test_measures_what_was_sent(measured: dict[str, Measured], name: str) -> None:
    """V, I, P and the phase at each window's start are true over the second, at a found rate."""
    assert measured[name].rate_hz == UNITS[name]["rate"]
    for position in range(HEARD, 18):
        window = measured[name].windows[position]
        check_true(window)
        assert window.flags == ()


def test_garbage_and_other_streams_are_counted(measured: dict[str, Measured]) -> None:
    """Frames that are cut or no PDU, and those of other streams, are counted apart."""
    counts = measured["12800x8"].counts
    assert counts["bad_frames"] > 100
    assert counts["other_frames"] >= counts["bad_frames"] // 2
    assert counts["lost_samples"] == counts["late_samples"] == 0


def test_lost_frames_mark_their_window_and_shift_nothing(measured: dict[str, Measured]) -> None:
    """One frame, ten and 275 ms of them: these windows are gaps, all others true to the phase."""
    found = measured["lost"].windows
    for position in range(HEARD, 18):
        if position in (7, 9, 11, 14):
            assert found[position].analysis is None
            assert found[position].flags == ("gap",)
        elif position in (12, 13):
            assert position not in found
        else:
            check_true(found[position])
    assert measured["lost"].counts["lost_samples"] == 1 + 10 + 1100


def test_no_bad_quality_passes_for_good(measured: dict[str, Measured]) -> None:
    """Each validity and other fault voids the phases of its window and is named; the rest holds."""
    found = measured["quality"].windows
    for number, label in enumerate(QUALITIES.values()):
        position = HEARD + 1 + 2 * number
        window = found[position]
        assert window.flags == (label,)
        assert window.analysis is not None
        assert "not-finite" in window.analysis.flags.labels
        assert math.isnan(window.analysis.total.p_w)
        check_true(found[position - 1])
        check_true(found[position + 1])


def test_a_laboratory_may_accept_test_samples(measured: dict[str, Measured]) -> None:
    """What the configuration accepts is measured, and still named."""
    window = measured["accepted"].windows[HEARD + 1]
    check_true(window)
    assert window.flags == ("questionable", "test")


def test_simulated_frames_are_gaps_unless_they_are_accepted(measured: dict[str, Measured]) -> None:
    """The simulation bit: ignored by default, measured and named in a laboratory."""
    found = measured["simulated"].windows
    assert 7 not in found
    assert 8 not in found
    check_true(found[6])
    check_true(found[10])
    window = measured["laboratory"].windows[HEARD + 1]
    check_true(window)
    assert window.flags == ("simulated",)


def test_synchronisation_is_lost_and_regained_without_a_tear(measured: dict[str, Measured]) -> None:
    """Through smpSynch 2, 0, 1, 2 each window is whole and says how its time is kept."""
    expected: dict[int, tuple[str, ...]] = {
        6: (),
        7: ("synchronisation-changed", "unsynchronised"),
        8: ("local-clock", "synchronisation-changed"),
        9: ("synchronisation-changed",),
        10: (),
    }
    for position, flags in expected.items():
        window = measured["synchronisation"].windows[position]
        check_true(window)
        assert window.flags == flags


def test_a_publisher_that_restarts_is_followed_by_the_clock(measured: dict[str, Measured]) -> None:
    """Unsynchronised, smpCnt jumps back by 900 after 50 ms of silence: one torn window, no shift.

    The windows begin where the clock has them, by the delay of the frames beside the publisher's.
    """
    found = measured["restarted"].windows
    torn = [position for position in range(TIMED, 31) if found[position].analysis is None]
    assert torn in ([21, 22], [22], [22, 23])
    for position in {*range(TIMED, 31)} - set(torn):
        check_power(found[position])
        assert found[position].flags[-1] == "unsynchronised"
    assert {"configuration-changed", "gap", "restarted"} <= {
        flag for position in torn for flag in found[position].flags
    }


def test_an_unsynchronised_counter_may_roll_over_where_it_likes(
    measured: dict[str, Measured],
) -> None:
    """A counter of 16 bits that ignores the second: no gap, at a rate found by the clock."""
    assert measured["rolling"].rate_hz == 4000
    for position in range(TIMED, 25):
        window = measured["rolling"].windows[position]
        check_power(window)
        assert window.flags == ("unsynchronised",)
