"""What values over 10/12 actual cycles cost, alone and as part of 16 feeds.

    python -m tests.benchmarks.bench_cycles --seconds 20

First, in one process and in turns: the core's time for each 10/12-cycle value (all of it: samples
in, cycles, half-cycles, transform, groups, aggregates) beside the 100 ms analysis of the same
samples and beside six bare NumPy real FFTs of a whole number of samples; medians. Then samplers
over streams, as the service runs them, with and without the observer, in turns: the share of a
core.
"""

from __future__ import annotations

import gc
import json
import statistics
import time
from collections.abc import Callable
from functools import partial

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from bmc_ext.sampling import analyze
from bmc_ext.sampling.cycles import CycleAggregator, CycleObserver, TenTwelveCycle
from bmc_ext.sampling.sampler import Sampler, Window
from drivers.waveforms.stream import StreamSource
from tests.benchmarks.bench_windows import cpu_s, generator, one_second

RAMP_UP_S = 1.5


def microseconds(work: Callable[[], int]) -> float:
    """Processor time for each of the things that `work` says it did."""
    begun_s = time.process_time()
    done = work()
    return (time.process_time() - begun_s) / done * 1e6


def run_cycles(blocks: list[np.ndarray], aggregator: CycleAggregator) -> int:
    """Five seconds in blocks of 100 ms; how many 10-cycle values came."""
    found = 0
    for block in blocks * 5:
        for result in aggregator.feed(block[:3], block[3:]):
            found += isinstance(result, TenTwelveCycle)
    return found


def run_windows(blocks: list[np.ndarray], rate_hz: int) -> int:
    """The same by the 100 ms analysis; how many 200 ms."""
    for block in blocks * 5:
        analyze(block[:3], block[3:], rate_hz)
    return 25


def run_transforms(samples: np.ndarray) -> int:
    """The transforms alone, of 200 ms; how many."""
    for _ in range(25):
        np.fft.rfft(samples)
    return 25


def kernels(rate_hz: int, rounds: int) -> dict[str, object]:
    """Medians over the rounds, for one interval of 10 cycles: 200 ms."""
    second = one_second(rate_hz)
    blocks = [np.ascontiguousarray(part) for part in np.split(second, 10, axis=1)]
    whole = second[:, : rate_hz // 5].astype(np.float64)
    works = {
        "cycles": partial(run_cycles, blocks, CycleAggregator(3, rate_hz, 50)),
        "windows": partial(run_windows, blocks, rate_hz),
        "transforms": partial(run_transforms, whole),
    }
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            times[name].append(microseconds(work))
    median = {name: statistics.median(values) for name, values in times.items()}
    return {
        "rate_hz": rate_hz,
        "us_per_10_cycles": round(median["cycles"], 1),
        "us_of_100_ms_analyses_in_200_ms": round(median["windows"], 1),
        "us_of_six_numpy_rfft_of_200_ms": round(median["transforms"], 1),
        "ratio_to_100_ms_analyses": round(median["cycles"] / median["windows"], 2),
        "ratio_to_six_numpy_rfft": round(median["cycles"] / median["transforms"], 2),
        "share_of_a_core_percent": round(median["cycles"] / 2000, 4),
    }


def share(port: int, feeds: int, seconds: float, observed: bool) -> tuple[float, int]:
    """Share of a core in percent of so many samplers, and how many 10/12-cycle values came."""
    found: list[object] = []
    windows: list[Window] = []
    samplers = [
        Sampler(
            f"feed_{n}",
            StreamSource("127.0.0.1", port),
            windows.append,
            nominal_hz=50.0,
            observers=[CycleObserver(f"feed_{n}", found.append, nominal_hz=50.0)]
            if observed
            else (),
        )
        for n in range(feeds)
    ]
    for sampler in samplers:
        sampler.start()
    time.sleep(RAMP_UP_S)
    begun_s, cpu_begun_s = time.monotonic(), cpu_s()
    time.sleep(seconds)
    used = (cpu_s() - cpu_begun_s) / (time.monotonic() - begun_s)
    for sampler in samplers:
        sampler.stop()
    return 100 * used, sum(isinstance(result, TenTwelveCycle) for result in found)


@click.command()
@click.option("--seconds", default=20.0, show_default=True, help="Counted time of each run.")
@click.option("--feeds", default=16, show_default=True, help="Three-phase feeds.")
@click.option("--rounds", default=15, show_default=True, help="Turns of the single measurements.")
@click.option("--pairs", default=3, show_default=True, help="Runs without and with the observer.")
def main(seconds: float, feeds: int, rounds: int, pairs: int) -> None:
    """Microseconds for each 10/12-cycle value, and the share of a core of many feeds."""
    gc.disable()
    figures: list[dict[str, object]] = [kernels(rate, rounds) for rate in (4800, 12800, 51200)]
    gc.enable()
    without, with_cycles, values = [], [], 0
    with generator(12_800, 50) as port:
        for _ in range(pairs):
            without.append(share(port, feeds, seconds, observed=False)[0])
            used, values = share(port, feeds, seconds, observed=True)
            with_cycles.append(used)
    before, after = statistics.median(without), statistics.median(with_cycles)
    figures.append(
        {
            "feeds": feeds,
            "values_in_the_last_run": values,
            "core_percent_without": round(before, 2),
            "core_percent_with": round(after, 2),
            "added_percent_of_a_core_per_feed": round((after - before) / feeds, 3),
        }
    )
    for rows in figures:
        table = Table(title="values over actual cycles", show_header=False)
        for name, value in rows.items():
            table.add_row(name.replace("_", " "), str(value))
        Console().print(table)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
