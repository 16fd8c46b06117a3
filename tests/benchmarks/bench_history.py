"""What the tick costs, and how many bytes a day ring and history write.

    python -m tests.benchmarks.bench_history --seconds 60 --feeds 16

Every feed's window is analysed once and then accepted ten times a second in true time, as the
samplers would do it. Cost is CPU time inside `accept`, the tick and the writer; bytes are what the
kernel counts as written by this process (/proc/self/io). The energy found afterwards is checked
against the power that was sent.
"""

from __future__ import annotations

import json
import resource
import tempfile
import time
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from bmc_ext.config import parse_config
from bmc_ext.domain.snapshot import Snapshot
from bmc_ext.sampling import Analysis, analyze
from bmc_ext.sampling.sampler import Window
from bmc_ext.settings import Config
from bmc_ext.state import StateDirectory
from bmc_ext.telemetry.collector import Collector
from drivers.reading import Quality

RATE_HZ = 12_800
SAMPLES = RATE_HZ // 10
V_RMS, I_RMS = 230.0, 10.0
DAY_S = 86_400


def configuration(feeds: int) -> Config:
    """So many waveform feeds and nothing else."""
    return parse_config(
        {
            "facility": {"id": "bench", "rated_power_w": 1e6},
            "state_dir": ".",
            "feeds": [
                {"id": f"f{n}", "rated_power_w": 1e5, "waveform": {"type": "stream", "port": 1}}
                for n in range(feeds)
            ],
        },
        base=Path(),
    )


def analysis() -> Analysis:
    """One window of three phases in phase."""
    angle = 2 * np.pi * 50 * np.arange(SAMPLES) / RATE_HZ
    wave = np.sqrt(2) * np.sin(angle - np.array([[0], [2], [4]]) * np.pi / 3)
    return analyze(V_RMS * wave, I_RMS * wave, float(RATE_HZ))


def written_bytes() -> int:
    """Bytes that this process has caused to be written, by proc_pid_io(5)."""
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return int(dict(line.split(": ") for line in lines)["write_bytes"])


def feed_windows(collector: Collector, feeds: int, seconds: float) -> tuple[int, float]:
    """Accept windows in true time; how many of each feed, and the CPU seconds it took."""
    result = analysis()
    window_id = time.time_ns() // 10**8
    last = window_id + round(seconds * 10)
    cpu_s = 0.0
    while window_id < last:
        time.sleep(max(0.0, (window_id + 1) / 10 - time.time()))
        before_s = time.thread_time()
        for n in range(feeds):
            collector.accept(
                Window(f"f{n}", window_id, window_id * 10**8, 3, result, (), SAMPLES, SAMPLES)
            )
        cpu_s += time.thread_time() - before_s
        window_id += 1
    return round(seconds * 10), cpu_s


def measure(feeds: int, seconds: float, directory: Path) -> dict[str, float]:
    """Run once; the figures by name."""
    collector = Collector(configuration(feeds), None, StateDirectory(directory))
    ages_s: list[float] = []

    def take(snapshot: Snapshot) -> None:
        if snapshot.total.quality is Quality.OK:
            ages_s.append(time.time() - (snapshot.window_id + 1) / 10)

    collector.store.subscribe(take)
    collector.start()
    written, used = written_bytes(), process_s()
    windows, accept_s = feed_windows(collector, feeds, seconds)
    used_s, bytes_ = process_s() - used, written_bytes() - written
    time.sleep(0.2)  # the last window's snapshot
    energy_j = collector.history.energies("f0")[0] or 0.0
    collector.stop()
    expected_j = windows * 0.1 * 3 * V_RMS * I_RMS
    assert abs(energy_j / expected_j - 1) < 1e-6, (energy_j, expected_j)
    return {
        "feeds": feeds,
        "seconds": seconds,
        "snapshots_ok_percent": 100 * len(ages_s) / windows,
        "snapshot_age_p99_ms": 1000 * float(np.quantile(ages_s, 0.99)),
        "accept_us_per_window": 1e6 * accept_s / windows / feeds,
        "core_percent": 100 * used_s / seconds,
        "mb_written_per_day": bytes_ * DAY_S / seconds / 1e6,
    }


def process_s() -> float:
    """CPU seconds of this process, user and system."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


@click.command()
@click.option("--seconds", default=60.0, show_default=True, help="length of the run")
@click.option("--feeds", default=16, show_default=True, help="three-phase feeds")
@click.option("--directory", default="/var/tmp", show_default=True, help="on the disk to measure")
@click.option("--json", "as_json", is_flag=True, help="one JSON object instead of the table")
def main(seconds: float, feeds: int, directory: str, as_json: bool) -> None:
    """Measure cost and bytes of the telemetry."""
    with tempfile.TemporaryDirectory(prefix="bench-history-", dir=directory) as state:
        figures = measure(feeds, seconds, Path(state))
    if as_json:
        click.echo(json.dumps(figures))
        return
    table = Table(title="telemetry: accept, tick and writer")
    for name in figures:
        table.add_column(name, justify="right")
    table.add_row(*(f"{value:.4g}" for value in figures.values()))
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
