"""What watching for events costs beside reading the samples and beside analysing them.

    python tests/benchmarks/bench_events.py [--blocks 4000] [--feeds 16]

Blocks of 5 ms at 12.8 kS/s, three phases, as a sampler hands them on: the core alone, with its
Python face, and with the sum over all feeds. All in one run, medians; `analyze` of 100 ms and a
plain sum of the same samples stand beside.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable

import click
import numpy as np
from bmc_ext.sampling._core import ffi, lib
from rich.console import Console
from rich.table import Table

from bmc_ext.sampling import analyze
from bmc_ext.sampling.events import EventDetector
from bmc_ext.telemetry.power_sum import PowerSum
from drivers.waveforms.block import Block

RATE_HZ, BLOCK = 12_800, 64
BLOCKS_PER_S = RATE_HZ / BLOCK


class Origin:
    """What a detector is told of a source."""

    phases = 3
    sample_rate_hz = float(RATE_HZ)
    epoch_ns = 0
    skew_s = (0.0, 0.0, 0.0)


def waves() -> np.ndarray:
    """One second of three phases at 200 MW with noise of 60 dB; shape (6, RATE_HZ) float32."""
    turns = 50 * np.arange(RATE_HZ) / RATE_HZ - np.arange(3)[:, None] / 3
    carrier = np.sqrt(2) * np.cos(2 * np.pi * turns)
    samples = np.concatenate([19e3 * carrier, 200e6 / (3 * 19e3) * carrier])
    noise = 1e-3 * np.random.default_rng(1).standard_normal(samples.shape)
    return (samples * (1 + noise)).astype(np.float32)


def median_us(step: Callable[[int], object], count: int) -> float:
    """Median time of a call over `count` calls, in µs."""
    times = []
    for number in range(count):
        begin = time.perf_counter_ns()
        step(number)
        times.append(time.perf_counter_ns() - begin)
    return statistics.median(times) / 1000


def core_us(blocks: list[np.ndarray], count: int) -> float:
    """The C core alone, one 5 ms block in one call."""
    config, events = ffi.new("dcpi_events_config *"), ffi.new("dcpi_events *")
    config.phases, config.sample_rate_hz, config.frequency_hz = 3, RATE_HZ, 50.0
    config.threshold_w, config.declared_v = 50e6, 19e3
    assert lib.dcpi_events_init(events, config) == lib.DCPI_OK
    shown = []
    for samples in blocks:
        block = ffi.new("dcpi_event_block *")
        buffer = ffi.from_buffer(samples)
        block.voltage = buffer
        block.current = ffi.cast("char *", buffer) + 3 * BLOCK * 4
        block.voltage_is_float32 = block.current_is_float32 = 1
        block.stride = block.samples = BLOCK
        shown.append((block, buffer))

    def feed(number: int) -> None:
        block = shown[number % len(shown)][0]
        block.first_index = number * BLOCK
        lib.dcpi_events_feed(events, block)

    return median_us(feed, count)


@click.command()
@click.option("--blocks", default=4000, show_default=True, help="blocks a figure")
@click.option("--feeds", default=16, show_default=True, help="feeds of a service")
def main(blocks: int, feeds: int) -> None:
    """Measure and print."""
    second = waves()
    parts = [np.ascontiguousarray(second[:, k : k + BLOCK]) for k in range(0, RATE_HZ, BLOCK)]
    detectors = [EventDetector(declared_voltage_v=19e3, nominal_hz=50) for _ in range(feeds)]
    for detector in detectors:
        detector.begin(Origin())
    names = [f"feed_{k}" for k in range(feeds)]
    total = PowerSum(names, threshold_w=50e6, nominal_hz=50)

    def watch(number: int) -> None:
        detectors[0].take(Block(number * BLOCK, parts[number % len(parts)]))
        detectors[0].drain()

    def watch_all(number: int) -> None:
        block = Block((blocks + number) * BLOCK, parts[number % len(parts)])
        for name, detector in zip(names, detectors, strict=True):
            detector.take(block)
            detector.drain()
            total.add(name, detector.read_power())

    window = np.ascontiguousarray(second[:, : RATE_HZ // 10])
    figures = {
        "read_us": median_us(lambda n: parts[n % len(parts)].sum(), blocks),
        "core_us": core_us(parts, blocks),
        "python_us": median_us(watch, blocks),
        "all_feeds_us": median_us(watch_all, blocks // 4),
        "analyze_us": median_us(lambda _: analyze(window[:3], window[3:], RATE_HZ), 500),
    }
    figures["core_of_analyze"] = figures["core_us"] * 20 / figures["analyze_us"]
    figures["share_of_a_core"] = figures["all_feeds_us"] * BLOCKS_PER_S * 1e-6
    table = Table("what", "median")
    table.add_row("np.sum over a 5 ms block (6 x 64 float32)", f"{figures['read_us']:.2f} µs")
    table.add_row("the core, a 5 ms block", f"{figures['core_us']:.2f} µs")
    table.add_row("with its Python face", f"{figures['python_us']:.2f} µs")
    table.add_row("analyze, a 100 ms window", f"{figures['analyze_us']:.1f} µs")
    table.add_row("20 blocks of the core over analyze", f"{figures['core_of_analyze']:.2f}")
    table.add_row(
        f"{feeds} feeds and their sum, every 5 ms", f"{figures['share_of_a_core']:.1%} of a core"
    )
    Console().print(table)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
