"""How many live three-phase streams one core takes, from the socket to the snapshot.

    python -m tests.benchmarks.bench_live

A process of its own sends 12.8 kS/s in blocks of 50 ms over TCP; samplers, collector, ring and
history are those of the service. Once each stream has a thread of its own, once all share one.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from bmc_ext.clock import SystemClock
from bmc_ext.config import parse_config
from bmc_ext.sampling.cycles import CycleObserver
from bmc_ext.sampling.sampler import BlockObserver, Sampler, Window
from bmc_ext.sampling.shared_reader import SharedReader
from bmc_ext.state import StateDirectory
from bmc_ext.telemetry.collector import Collector
from bmc_ext.telemetry.cycle_feed import CycleSummary
from bmc_ext.telemetry.power_detectors import PowerDetectors
from bmc_ext.telemetry.power_events import PowerEvents
from drivers.reading import Quality
from drivers.waveforms.stream import StreamSource
from tests.benchmarks.bench_windows import cpu_s, generator

RAMP_UP_S = 3.0


def measure(
    port: int, feeds: int, seconds: float, *, shared: bool, observed: bool
) -> dict[str, object]:
    """Processor time per window of so many feeds."""
    names = [f"feed_{n}" for n in range(feeds)]
    with tempfile.TemporaryDirectory() as folder:
        config = parse_config(
            {
                "facility": {"id": "bench", "rated_power_w": 1e9},
                "state_dir": "state",
                "feeds": [
                    {"id": name, "rated_power_w": 1e6, "waveform": {"type": "stream", "port": 1}}
                    for name in names
                ],
            },
            base=Path(folder),
        )
        state = StateDirectory(Path(folder) / "state")
        collector = Collector(config, None, state)
        events = PowerEvents(state, SystemClock())
        detectors = PowerDetectors(config.feeds, config.facility.event_threshold_w, events)

        def accept(window: Window) -> None:
            collector.accept(window)
            if observed:
                detectors.note(window)

        def observers(name: str) -> list[BlockObserver]:
            summary, cycles = CycleSummary(), collector.cycles_of(name)
            by_cycles = CycleObserver(
                name, lambda result: cycles.put(summary.take(result)), nominal_hz=50.0
            )
            return [*detectors.observers(name), by_cycles] if observed else []

        reader = SharedReader() if shared else None
        samplers = [
            Sampler(
                name,
                StreamSource("127.0.0.1", port),
                accept,
                nominal_hz=50.0,
                observers=observers(name),
                reader=reader,
            )
            for name in names
        ]
        collector.start()
        for sampler in samplers:
            sampler.start()
        time.sleep(RAMP_UP_S)
        delivered = -sum(sampler.windows_delivered for sampler in samplers)
        begun_s, cpu_begun_s = time.monotonic(), cpu_s()
        time.sleep(seconds)
        cpu, elapsed_s = cpu_s() - cpu_begun_s, time.monotonic() - begun_s
        delivered += sum(sampler.windows_delivered for sampler in samplers)
        snapshot = collector.store.latest()
        for sampler in samplers:
            sampler.stop()
        collector.stop()
        events.close()
        state.close()
    assert snapshot is not None
    return {
        "feeds": feeds,
        "one_thread": shared,
        "events_and_cycles": observed,
        "windows": delivered,
        "feeds_known_in_the_last": sum(feed.quality is Quality.OK for feed in snapshot.feeds),
        "late_windows": collector.late_windows,
        "cpu_us_per_window": round(1e6 * cpu / delivered, 1),
        "streams_per_core": round(feeds * elapsed_s / cpu),
    }


@click.command()
@click.option("--feeds", default=64, show_default=True, help="Three-phase streams.")
@click.option("--seconds", default=8.0, show_default=True, help="Counted time of each run.")
def main(feeds: int, seconds: float) -> None:
    """Cost of a live window, and how many streams a core takes."""
    with generator(12_800, 50) as port:
        rows = [
            measure(port, feeds, seconds, shared=shared, observed=observed)
            for observed in (False, True)
            for shared in (False, True)
        ]
    table = Table(title="live streams of 12.8 kS/s, three phases")
    for name in rows[0]:
        table.add_column(name.replace("_", " "), justify="right")
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console().print(table)
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
