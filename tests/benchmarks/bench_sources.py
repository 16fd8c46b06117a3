"""How many three-phase sources at 12.8 kS/s one core sustains through ring, analysis and snapshot.

    python -m tests.benchmarks.bench_sources

One thread writes every source's samples into the ring in blocks of 50 ms, analyses the window and
publishes arrays of all that the window says. Sources differ; growth over their number is shown.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bmc_ext.sampling.sample_ring import SampleRing

RATE_HZ, SAMPLES, BLOCK = 12_800, 1280, 640
SOURCES = (10, 100, 1000, 3000)
PEAKS = (325.0, 22.6)  # V, A
SHAPES = 16
"""Different waves; each source has one of them."""


@dataclass(frozen=True)
class Snapshot:
    """What all sources say of one window."""

    window_id: int
    frequency_hz: NDArray[np.float64]
    flags: NDArray[np.uint32]
    p_w: NDArray[np.float64]
    v_rms: NDArray[np.float64]
    i_rms: NDArray[np.float64]
    thd_v_percent: NDArray[np.float64]
    i_harmonics_rms: NDArray[np.float64]


def waves() -> NDArray[np.float32]:
    """[shape][volts or amperes][phase][sample] with harmonics, noise and 16 bits."""
    rng = np.random.default_rng(3)
    time_s = np.arange(SAMPLES) / RATE_HZ
    made = np.empty((SHAPES, 2, 3, SAMPLES), np.float32)
    hz = rng.uniform(49.8, 50.2, SHAPES)
    for shape, kind in np.ndindex(SHAPES, 2):
        for phase in range(3):
            turns = hz[shape] * time_s - phase / 3 - 0.05 * kind
            rows = np.cos(2 * np.pi * turns) + 1e-4 * rng.normal(size=SAMPLES)
            for order in (3, 5, 7, 11, 13):
                rows += 0.1 / order * np.cos(2 * np.pi * order * turns)
            made[shape, kind, phase] = PEAKS[kind] * np.round(rows * 20_000) / 20_000
    return made


def run_window(ring: SampleRing, made: NDArray[np.float32], sources: int, number: int) -> Snapshot:
    """One window of all sources from their samples to the snapshot."""
    for start in range(0, SAMPLES, BLOCK):
        for source in range(sources):
            block = made[source % SHAPES, :, :, start : start + BLOCK]
            ring.put(source, number, start, block)
    array = ring.analyze(number, nominal_hz=50.0).array
    phase, total = array["phase"], array["total"]
    return Snapshot(
        window_id=number,
        frequency_hz=array["frequency_hz"].copy(),
        flags=array["flags"].copy(),
        p_w=total["p_w"].copy(),
        v_rms=phase["v_rms"].copy(),
        i_rms=phase["i_rms"].copy(),
        thd_v_percent=phase["thd_v_percent"].copy(),
        i_harmonics_rms=phase["i_harmonics_rms"].copy(),
    )


def measure(sources: int, made: NDArray[np.float32]) -> dict[str, float]:
    """Median processor seconds per window of 0.1 s, of at least five windows and one second."""
    ring = SampleRing(sources, SAMPLES, RATE_HZ)
    run_window(ring, made, sources, 0)
    spent: list[float] = []
    while len(spent) < 5 or sum(spent) < 1:
        begun = time.thread_time()
        snapshot = run_window(ring, made, sources, len(spent) + 1)
        spent.append(time.thread_time() - begun)
    if snapshot.flags.any() or np.isnan(snapshot.p_w).any():
        raise RuntimeError("the windows were not analysed")
    seconds = float(np.median(spent))
    return {
        "sources": sources,
        "ms_per_window": round(1e3 * seconds, 2),
        "us_per_source": round(1e6 * seconds / sources, 2),
        "share_of_a_core_percent": round(1000 * seconds, 1),
        "ring_mb": round(ring.nbytes / 1e6, 1),
    }


def main() -> int:
    """Measure, and print a table and one JSON line."""
    made = waves()
    figures = [measure(sources, made) for sources in SOURCES]
    table = Table(title=f"three-phase sources on one core of {os.cpu_count()}")
    for name in figures[0]:
        table.add_column(name.replace("_", " "))
    for row in figures:
        table.add_row(*(str(value) for value in row.values()))
    Console().print(table)
    sustained = int(SOURCES[-1] * 100 / figures[-1]["share_of_a_core_percent"])
    print(f"one core sustains {sustained} sources (by processor time of {SOURCES[-1]})")
    print(json.dumps({"sources": figures, "sustained": sustained}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
