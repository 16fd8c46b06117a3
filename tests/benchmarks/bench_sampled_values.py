"""What sampled values cost: to decode and assemble, and live from a network interface.

    python tests/benchmarks/bench_sampled_values.py --seconds 5

The frames are those of the tests' independent publisher. First the core alone, on frames in
memory; then three-phase streams of 12.8 kS/s, 8 ASDUs a frame, over a veth pair: one process sends
them at true time, and this one follows so many of them with a sampler each, from packet socket to
analysed window. The last needs root and iproute2.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from bmc_ext.sampling.sampled_values import Assembler, Survey
from bmc_ext.sampling.sampled_values_source import SampledValuesSource
from bmc_ext.sampling.sampler import Sampler, Window
from bmc_ext.sampling.shared_reader import SharedReader
from drivers.waveforms.captured_frames import NO_VLAN, SPAN, Frames
from drivers.waveforms.sampled_values import SampledValues, pair_data_set
from drivers.waveforms.sampled_values_socket import SampledValuesSocket

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import sv_publisher

RATE_HZ, ASDUS = 12_800, 8
ROUNDS = 9
BURST_NS = 5_000_000
RAMP_UP_S = 1.5
POWER_W = 3 * 57_735.0 * 100.0 * 0.75**0.5


def batch(rate_hz: int, asdus: int) -> Frames:
    """One second of a stream in memory."""
    unit = sv_publisher.Unit(rate=rate_hz, asdus=asdus)
    memory, spans, count = bytearray(), bytearray(), 0
    for when_ns, raw in sv_publisher.frames(unit, 1_800_000_000_000_000_000, rate_hz):
        spans += SPAN.pack(when_ns, len(memory), len(raw), NO_VLAN, 0)
        memory += raw
        count += 1
    return Frames(bytes(memory), spans, count)


def core_ns(rate_hz: int, asdus: int) -> dict[str, float]:
    """Median ns of a frame and of a sample (of all channels), to survey and to assemble."""
    frames, surveyed, assembled = batch(rate_hz, asdus), [], []
    for _ in range(ROUNDS):
        begun = time.perf_counter_ns()
        Survey().listen(frames)
        surveyed.append(time.perf_counter_ns() - begun)
        assembler = Assembler(
            SampledValues(stream="MU01"), pair_data_set(8, None), rate_hz,
            1_799_999_998_000_000_000, rate_hz // 10,
        )  # fmt: skip
        begun = time.perf_counter_ns()
        samples = sum(block.samples.shape[1] for block in assembler.blocks(frames))
        assembled.append(time.perf_counter_ns() - begun)
        assert samples == rate_hz
    spent_ns = statistics.median(assembled)
    return {
        "rate_hz": rate_hz,
        "asdus": asdus,
        "decode_ns_per_frame": round(statistics.median(surveyed) / frames.count, 1),
        "assemble_ns_per_frame": round(spent_ns / frames.count, 1),
        "assemble_ns_per_sample": round(spent_ns / rate_hz, 1),
        "streams_a_core_decodes": round(1e9 / spent_ns),
    }


def send(interface: str, streams: int) -> None:
    """Publish so many streams at true time until stdin closes; their APPIDs count from 0x4000."""
    units = [sv_publisher.Unit(sv_id=f"MU{k:03}", appid=0x4000 + k, rate=RATE_HZ, asdus=ASDUS)
             for k in range(streams)]  # fmt: skip
    second = sv_publisher.frames(units[0], 0, RATE_HZ)
    templates = [
        [raw.replace(b"MU000", unit.sv_id.encode()).replace(b"\x88\xba\x40\x00",
         b"\x88\xba" + unit.appid.to_bytes(2, "big"), 1) for _, raw in second]
        for unit in units
    ]  # fmt: skip
    stopping = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stopping.set()), daemon=True).start()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as wire:
        wire.bind((interface, 0))
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
        print("ready", flush=True)
        number = time.time_ns() * RATE_HZ // ASDUS // 1_000_000_000
        while not stopping.wait(BURST_NS / 1e9):
            due = time.time_ns() * RATE_HZ // ASDUS // 1_000_000_000
            for frame in range(number, due):
                for template in templates:
                    wire.send(template[frame % len(template)])
            number = due


@contextlib.contextmanager
def wire(streams: int) -> Iterator[str]:
    """The interface at which these streams are heard."""
    near, far = f"dsb{os.getpid()}n", f"dsb{os.getpid()}f"
    link = ["ip", "link"]
    subprocess.run([*link, "add", near, "type", "veth", "peer", "name", far], check=True)
    try:
        for name in (near, far):
            subprocess.run([*link, "set", name, "up"], check=True)
        command = [sys.executable, __file__, "--send", far, "--streams", str(streams)]
        sender = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert sender.stdin is not None
        assert sender.stdout is not None
        try:
            sender.stdout.readline()
            yield near
        finally:
            sender.stdin.close()
            sender.wait()
            sender.stdout.close()
    finally:
        subprocess.run([*link, "del", near], check=True)


def cpu_s() -> float:
    """Processor time of this process in seconds."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def live(streams: int, seconds: int) -> dict[str, float]:
    """Follow so many streams for so long."""
    windows: list[Window] = []
    reader = SharedReader()
    with wire(streams) as interface:
        samplers = [
            Sampler(
                f"feed_{k}",
                SampledValuesSource(
                    SampledValuesSocket(interface, appid=0x4000 + k),
                    SampledValues(stream=f"MU{k:03}", appid=0x4000 + k, rate_hz=RATE_HZ),
                ),
                windows.append,
                reader=reader,
            )
            for k in range(streams)
        ]  # fmt: skip
        for sampler in samplers:
            sampler.start()
        time.sleep(RAMP_UP_S)
        windows.clear()
        begun_s, cpu_begun_s = time.monotonic(), cpu_s()
        time.sleep(seconds)
        share = (cpu_s() - cpu_begun_s) / (time.monotonic() - begun_s)
        counted = list(windows)
        for sampler in samplers:
            sampler.stop()
    whole = [window.analysis for window in counted if window.analysis is not None]
    errors = [abs(analysis.total.p_w / POWER_W - 1) for analysis in whole]
    return {
        "streams": streams,
        "windows_expected": streams * seconds * 10,
        "windows_whole": len(whole),
        "windows_torn": len(counted) - len(whole),
        "worst_power_error_percent": round(100 * float(np.max(errors, initial=0)), 5),
        "cpu_percent_of_a_core": round(100 * share, 1),
        "streams_a_core_takes": round(streams / share),
    }


def show(title: str, rows: list[dict[str, float]]) -> None:
    """A table for people and a line for programs."""
    table = Table(title=title)
    for name in rows[0]:
        table.add_column(name.replace("_", " "), justify="right")
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console().print(table)
    print(json.dumps(rows))


@click.command()
@click.option("--seconds", default=5, show_default=True, help="Counted time of each live run.")
@click.option("--streams", default=16, show_default=True, help="Most live streams at once.")
@click.option("--send", "interface", hidden=True)
def main(seconds: int, streams: int, interface: str | None) -> None:
    """Cost of a frame and a sample, and how many live streams a core takes."""
    if interface is not None:
        send(interface, streams)
        return
    show("the core alone", [core_ns(*kind) for kind in ((4000, 1), (14400, 6), (12800, 8))])
    if os.geteuid() != 0:
        print("live streams: left out, they need root")
        return
    show("live, 12.8 kS/s with 8 ASDUs a frame", [live(n, seconds) for n in (1, 4, streams)])


if __name__ == "__main__":
    main()
