"""How many 100 ms windows arrive, how late, at what cost.

    python tests/benchmarks/bench_windows.py --seconds 600 --feeds 16

A generator process streams three-phase waveforms (dcpi-waveform/1, written here from the protocol
text) at true time; this process runs one sampler a feed, as the service does. Every window is
checked against the power that was sent. `--busy` adds a thread that never stops computing in
Python, the worst neighbour that a sampler can have in its process.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import resource
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from bmc_ext.clock import WINDOW_NS
from bmc_ext.sampling.sampler import Sampler, Window
from bmc_ext.sampling.shared_reader import SharedReader
from drivers.waveforms.stream import StreamSource

FREQUENCY_HZ = 50.0
V_PEAK, I_PEAK, ANGLE = 325.0, 1000.0, 0.4
HARMONICS = ((5, 0.03, 0.08), (7, 0.02, 0.05))  # order, share of V, share of I
NOISE = 1e-4  # of the peak: 80 dB
RAMP_UP_S = 1.0


def one_second(rate_hz: int) -> np.ndarray:
    """Three phases with harmonics and noise, whole periods; shape (6, rate) float32."""
    angle = 2 * np.pi * FREQUENCY_HZ * np.arange(rate_hz) / rate_hz
    random = np.random.default_rng(1)
    rows = []
    for peak, late, share in ((V_PEAK, 0.0, 1), (I_PEAK, ANGLE, 2)):
        for phase in range(3):
            local = angle - phase * 2 * np.pi / 3
            wave = np.cos(local - late)
            for harmonic in HARMONICS:
                wave += harmonic[share] * np.cos(harmonic[0] * (local - late))
            rows.append(peak * (wave + NOISE * random.standard_normal(rate_hz)))
    return np.array(rows, np.float32)


def true_power_w() -> float:
    """Mean of v·i of one phase: the sum over the orders, as all harmonics are late by h·ANGLE."""
    orders = ((1, 1.0, 1.0), *HARMONICS)
    return sum(V_PEAK * v * I_PEAK * i / 2 * math.cos(h * ANGLE) for h, v, i in orders)


def generate(rate_hz: int, block_ms: int) -> None:
    """Stream to every client until stdin closes; prints the port first."""
    count = rate_hz * block_ms // 1000
    signal = one_second(rate_hz)
    blocks = [
        np.ascontiguousarray(signal[:, at : at + count]).tobytes()
        for at in range(0, rate_hz, count)
    ]
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    # On the grid, so that lateness is what the receiver adds and not where the blocks end.
    epoch_ns = (time.time_ns() // WINDOW_NS + 1) * WINDOW_NS
    greeting = {
        "protocol": "dcpi-waveform/1", "phases": 3, "sample_rate_hz": rate_hz,
        "epoch_ns": epoch_ns, "dtype": "<f4",
    }  # fmt: skip
    clients: list[socket.socket] = []

    def accept() -> None:
        while True:
            client, _ = listener.accept()
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.sendall(json.dumps(greeting).encode() + b"\n")
            clients.append(client)

    threading.Thread(target=accept, daemon=True).start()
    threading.Thread(target=lambda: (sys.stdin.read(), listener.close()), daemon=True).start()
    print(listener.getsockname()[1], flush=True)
    for number in itertools.count():
        due_ns = epoch_ns + (number + 1) * block_ms * 1_000_000
        time.sleep(max(0, due_ns - time.time_ns()) * 1e-9)
        frame = struct.pack("<4sIQ", b"DCPW", count, number * count) + blocks[number % len(blocks)]
        for client in tuple(clients):
            try:
                client.sendall(frame)
            except OSError:
                clients.remove(client)
        if listener.fileno() < 0:
            return


class Tally:
    """What one feed delivered within the counted windows."""

    def __init__(self) -> None:
        self.lateness_ms: list[float] = []
        self.delivered = 0
        self.flagged = 0
        self.worst_power = 0.0
        self.counted = range(0)

    def take(self, window: Window) -> None:
        """Called by the sampler."""
        now_ns = time.time_ns()
        if window.window_id not in self.counted:
            return
        if window.analysis is None:
            self.flagged += 1
            return
        self.delivered += 1
        self.lateness_ms.append((now_ns - window.start_ns - WINDOW_NS) * 1e-6)
        for phase in window.analysis.phases:
            error = abs(phase.p_mean_w / true_power_w() - 1.0)
            self.worst_power = max(self.worst_power, error)


@contextlib.contextmanager
def generator(rate_hz: int, block_ms: int) -> Iterator[int]:
    """The generator process; gives its port."""
    arguments = ["--generate", "--rate", str(rate_hz), "--block-ms", str(block_ms)]
    process = subprocess.Popen(
        [sys.executable, __file__, *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.terminate()
        process.wait()
        process.stdout.close()


def cpu_s() -> float:
    """Processor time of this process in seconds."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def compute_for_ever(stop: Callable[[], bool]) -> None:
    """A neighbour that holds the interpreter whenever it may."""
    while not stop():
        sum(range(1000))


def measure(feeds: int, seconds: int, rate_hz: int, block_ms: int, busy: bool) -> dict[str, object]:
    """Run it; the figures."""
    tallies = [Tally() for _ in range(feeds)]
    stopping = threading.Event()
    reader = SharedReader()
    with generator(rate_hz, block_ms) as port:
        samplers = [
            Sampler(
                f"feed_{n}",
                StreamSource("127.0.0.1", port),
                tally.take,
                nominal_hz=50.0,
                reader=reader,
            )
            for n, tally in enumerate(tallies)
        ]
        first = time.time_ns() // WINDOW_NS + 1 + round(RAMP_UP_S * 1e9) // WINDOW_NS
        for tally in tallies:
            tally.counted = range(first, first + seconds * 10)
        for sampler in samplers:
            sampler.start()
        if busy:
            threading.Thread(target=compute_for_ever, args=(stopping.is_set,)).start()
        time.sleep(RAMP_UP_S)
        begun_s, cpu_begun_s = time.monotonic(), cpu_s()
        show_progress(seconds)
        cpu_share = (cpu_s() - cpu_begun_s) / (time.monotonic() - begun_s)
        time.sleep(0.5)
        stopping.set()
        for sampler in samplers:
            sampler.stop()
    delivered = sum(tally.delivered for tally in tallies)
    lateness = np.array([late for tally in tallies for late in tally.lateness_ms])
    p50, p99, p999 = np.percentile(lateness, [50, 99, 99.9])
    return {
        "feeds": feeds,
        "seconds": seconds,
        "rate_hz": rate_hz,
        "block_ms": block_ms,
        "busy_neighbour": busy,
        "windows_expected": feeds * seconds * 10,
        "windows_delivered": delivered,
        "share_percent": round(100 * delivered / (feeds * seconds * 10), 4),
        "windows_torn": sum(tally.flagged for tally in tallies),
        "lateness_ms_p50": round(float(p50), 2),
        "lateness_ms_p99": round(float(p99), 2),
        "lateness_ms_p99_9": round(float(p999), 2),
        "lateness_ms_max": round(float(lateness.max()), 2),
        "cpu_percent_of_a_core": round(100 * cpu_share, 2),
        "cpu_us_per_window": round(cpu_share / (feeds * 10) * 1e6, 1),
        "worst_power_error_percent": round(100 * max(t.worst_power for t in tallies), 4),
    }


def show_progress(seconds: int) -> None:
    """Wait, telling a terminal how far it is."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if sys.stderr.isatty():
            print(f"\r{left:4.0f} s left ", end="", file=sys.stderr, flush=True)
        time.sleep(min(1.0, left))
    if sys.stderr.isatty():
        print("\r", end="", file=sys.stderr)


@click.command()
@click.option("--seconds", default=600, show_default=True, help="Counted time.")
@click.option("--feeds", default=16, show_default=True, help="Three-phase feeds, one thread each.")
@click.option("--rate", "rate_hz", default=12_800, show_default=True, help="Samples a second.")
@click.option("--block-ms", default=50, show_default=True, help="What the generator sends at once.")
@click.option("--busy", is_flag=True, help="Add a thread that never stops computing in Python.")
@click.option("--generate", "as_generator", is_flag=True, hidden=True)
def main(
    seconds: int, feeds: int, rate_hz: int, block_ms: int, busy: bool, as_generator: bool
) -> None:
    """Share of windows delivered, their lateness and their cost."""
    if as_generator:
        generate(rate_hz, block_ms)
        return
    figures = measure(feeds, seconds, rate_hz, block_ms, busy)
    table = Table(title="100 ms windows", show_header=False)
    for name, value in figures.items():
        table.add_row(name.replace("_", " "), str(value))
    Console().print(table)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
