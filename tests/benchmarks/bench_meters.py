"""Many Modbus meters of 20 points at 10 Hz in one engine, against independent servers.

    python -m tests.benchmarks.bench_meters [--seconds 60]
    python -m tests.benchmarks.bench_meters --meters 512 --seconds 600 [--latency-ms 20]
    python -m tests.benchmarks.bench_meters --rtu | --serve

Each row is a process of its own: slots served, CPU of the engine's process alone (user and system
time over wall time, one core is 100 %), and resident memory. The values are new at every poll and a
cross-check is made at each, so nothing can be skipped. `--rtu` compares reads of 60 registers with
the wire's theory, `--serve` asks a service that runs 512 meters for power/realtime.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from drivers.bus_load import wire_time_s
from drivers.engine import DeviceSpec, Engine
from drivers.modbus_rtu import RtuTransport
from drivers.read_plan import ReadBlock
from drivers.reading import Quality
from drivers.target import SerialTarget
from tests.benchmarks.bench_http import load, ready, with_children
from tests.benchmarks.meter_server import POINTS
from tests.e2e.emulator_client import COMMAND, Running, running

USER, PASSWORD = "bench", "bench-secret"
RATE_HZ = 10
FEEDS = 16
_PHASED = {
    "voltage": ("V", 400),
    "current": ("A", 100),
    "power.active": ("W", 40_000),
    "power.reactive": ("var", 40_000),
    "power.apparent": ("VA", 40_000),
    "pf": ("1", 1),
}
# Meters, the latency of their answers in ms, and the goals: least % of slots, most % of a core.
ROWS = (
    (64, 0, 100.0, 100.0),
    (128, 0, 100.0, 100.0),
    (256, 0, 100.0, 100.0),
    (512, 0, 100.0, 20.0),
    (1024, 0, 99.9, 40.0),
    (256, 20, 100.0, 100.0),
)
MOST_KB = 100
BAUDS = (9600, 19200, 38400, 115200)
_TURNAROUND_S = 0.005
_REGISTERS = 60


def profile_text(every_ms: int = 100) -> str:
    """The profile of the served meters, polled so often."""
    names = [(f"{name}.L{phase}", *kind) for name, kind in _PHASED.items() for phase in (1, 2, 3)]
    names += [("power.active.total", "W", 120_000), ("frequency", "Hz", 70)]
    points = {
        name: {"addr": 2 * number, "unit": unit, "range": [-limit, limit]}
        for number, (name, unit, limit) in enumerate(names)
    }
    phases = " - ".join(f"power_active_L{phase}" for phase in (1, 2, 3))
    profile = {
        "profile": "device-profile/1",
        "id": "bench.meter",
        "vendor": "Bench",
        "model": "20 points",
        "kind": "PowerMeter",
        "sources": [{"ref": "tests/benchmarks/meter_server.py", "verified": "restated"}],
        "transport": {"modes": ["tcp"], "timeout_ms": 300},
        "defaults": {"fc": 3, "type": "f32", "group": "fast"},
        "groups": {
            "fast": {"every_ms": every_ms, "source_ms": 100, "stale_after_ms": 10 * every_ms}
        },
        "points": points,
        "checks": [{"expr": f"power_active_total - {phases}", "max": 1}],
    }
    return yaml.safe_dump(profile, sort_keys=False)


@contextlib.contextmanager
def server(module: str, *arguments: object) -> Iterator[str]:
    """A server of this folder; the line that it prints."""
    command = [sys.executable, "-m", f"tests.benchmarks.{module}", *map(str, arguments)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


@contextlib.contextmanager
def served_specs(
    meters: int, latency_ms: float, folder: Path, every_ms: int = 100
) -> Iterator[list[DeviceSpec]]:
    """Running meters and how an engine finds them."""
    path = folder / "meter.yaml"
    path.write_text(profile_text(every_ms), encoding="utf-8")
    with server("meter_server", meters, latency_ms) as ports:
        yield [
            DeviceSpec(f"m{number}", str(path), f"tcp://127.0.0.1:{port}")
            for number, port in enumerate(json.loads(ports))
        ]


def resident_kb() -> int:
    """Resident memory of this process in kB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 1024


def measure(meters: int, latency_ms: float, seconds: float) -> dict[str, Any]:
    """One row."""
    with (
        tempfile.TemporaryDirectory() as folder,
        served_specs(meters, latency_ms, Path(folder)) as devices,
    ):
        before_kb = resident_kb()
        engine = Engine(devices)
        engine.start()
        try:
            return _watched(engine, seconds, before_kb) | {
                "meters": meters,
                "latency_ms": latency_ms,
            }
        finally:
            engine.stop()


def _watched(engine: Engine, seconds: float, before_kb: int) -> dict[str, Any]:
    time.sleep(3.0)
    before, cpu, began = _totals(engine), time.process_time(), time.monotonic()
    queued_s = _queued_s()
    time.sleep(seconds)
    after, cpu, took = _totals(engine), time.process_time() - cpu, time.monotonic() - began
    queued_s = _queued_s() - queued_s
    polls, missed, errors = (new - old for new, old in zip(after, before, strict=True))
    readings = [engine.readings(device) for device in engine.device_ids]
    good = sum(r.quality is Quality.OK for points in readings for r in points.values())
    return {
        "polls": polls,
        "polls_expected": round(len(readings) * RATE_HZ * took),
        "slots_percent": 100.0 * polls / (polls + missed),
        "missed": missed,
        "errors": errors,
        "ok_percent": 100 * good / (len(readings) * POINTS),
        "core_percent": 100 * cpu / took,
        "us_a_poll": 1e6 * cpu / max(1, polls),
        "kb_a_meter": (resident_kb() - before_kb) / len(readings),
        "queued_percent": 100 * queued_s / took,
    }


def _queued_s() -> float:
    """How long this process's threads were ready to run and the machine had no core for them."""
    stats = Path("/proc/self/task").glob("*/schedstat")
    return sum(int(stat.read_text().split()[1]) for stat in stats) / 1e9


def _totals(engine: Engine) -> tuple[int, int, int]:
    all_of_them = [engine.statistics(device) for device in engine.device_ids]
    return (
        sum(one.polls for one in all_of_them),
        sum(one.missed_slots for one in all_of_them),
        sum(one.errors for one in all_of_them),
    )


def measure_rtu(seconds: float) -> list[dict[str, Any]]:
    """Reads of 60 registers back to back on paced lines, beside the wire's theory."""
    rows = []
    for baud in BAUDS:
        with server("paced_line", baud, 1000 * _TURNAROUND_S) as path:
            transport = RtuTransport(SerialTarget(path), baud, "8N1")
            times = []
            end = time.monotonic() + seconds
            with contextlib.closing(transport):
                # The first has no silence before it.
                transport.read(1, ReadBlock(3, 0, _REGISTERS), 1.0)
                while time.monotonic() < end:
                    began = time.monotonic()
                    transport.read(1, ReadBlock(3, 0, _REGISTERS), 1.0)
                    times.append(time.monotonic() - began)
        theory_s = wire_time_s(_REGISTERS, baud) + _TURNAROUND_S
        # Half of all: what the machine's other work adds to some is not the driver's.
        median_s = statistics.median(times)
        rows.append(
            {
                "baud": baud,
                "theory_ms": 1000 * theory_s,
                "median_ms": 1000 * median_s,
                "mean_ms": 1000 * statistics.fmean(times),
                "above_percent": 100 * (median_s / theory_s - 1),
            }
        )
    return rows


@contextlib.contextmanager
def metered_service(meters: int, feeds: int, every_ms: int = 100) -> Iterator[Running]:
    """A service that polls so many meters, the first of them as feeds."""
    with (
        tempfile.TemporaryDirectory() as name,
        served_specs(meters, 0, Path(name), every_ms) as devices,
    ):
        document = {
            "feeds": [
                {"id": f"f{number}", "rated_power_w": 1e4, "meter": f"m{number}"}
                for number in range(feeds)
            ],
        }
        with bench_service(Path(name), devices, document) as service:
            yield service


@contextlib.contextmanager
def bench_service(
    folder: Path, devices: list[DeviceSpec], document: dict[str, Any]
) -> Iterator[Running]:
    """A service over these devices and what else the configuration says."""
    config = folder / "service.yaml"
    head = {
        "facility": {"id": "bench", "rated_power_w": 1e6},
        "state_dir": "state",
        "devices": [
            {"id": spec.id, "profile": spec.profile, "target": spec.target} for spec in devices
        ],
    }
    config.write_text(yaml.safe_dump({**head, **document}), encoding="utf-8")
    set_password = [COMMAND, "serve", "--config", config, "--set-password", USER]
    answers = f"{PASSWORD}\n{PASSWORD}\n"
    subprocess.run(set_password, input=answers, text=True, check=True, capture_output=True)
    with running("serve", "--config", config, "--port", 0) as service:
        service.user, service.password = USER, PASSWORD
        yield service


def measure_serve(meters: int, seconds: float) -> dict[str, Any]:
    """The service polls so many meters, 16 of them as feeds, and is asked 200 times a second."""
    with metered_service(meters, FEEDS) as service:
        url, header = ready(service)
        time.sleep(3.0)
        before = service_cpu_s(service.process.pid)
        paced = load(url, "--rate", 200, "--seconds", seconds, "--header", header)
        cpu_s = service_cpu_s(service.process.pid) - before
        quality = service.get("/redfish/v1/dcpi/power/realtime").get("Quality")
    return {**paced, "quality": quality, "core_percent": 100 * cpu_s / seconds}


def service_cpu_s(pid: int) -> float:
    """Processor time of a process and its children in seconds, user and system."""
    ticks = 0
    for process in with_children(pid):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def show(rows: list[dict[str, Any]]) -> None:
    """One line a row."""
    table = Table(
        "meters", "latency", "slots", "missed", "core", "a poll", "kB a meter", "no core", "goal"
    )
    for row in rows:
        table.add_row(
            str(row["meters"]),
            f"{row['latency_ms']:g} ms",
            f"{row['slots_percent']:.3f} %",
            str(row["missed"]),
            f"{row['core_percent']:.1f} %",
            f"{row['us_a_poll']:.0f} µs",
            f"{row['kb_a_meter']:.0f}",
            f"{row['queued_percent']:.1f} %",
            "kept" if row["kept"] else "missed",
        )
    Console(width=100).print(
        table, "no core: share of the time in which it was ready to run and the machine was busy"
    )


def main() -> None:
    """Measure one thing, or all of them in processes of their own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--meters", type=int)
    parser.add_argument("--latency-ms", type=float, default=0)
    parser.add_argument("--rtu", action="store_true")
    parser.add_argument("--serve", action="store_true")
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
    if arguments.meters:
        print(json.dumps(measure(arguments.meters, arguments.latency_ms, arguments.seconds)))
    elif arguments.rtu:
        print(json.dumps(measure_rtu(min(10.0, arguments.seconds))))
    elif arguments.serve:
        print(json.dumps(measure_serve(512, arguments.seconds)))
    else:
        _all(arguments.seconds)


def _all(seconds: float) -> None:
    rows = []
    for meters, latency_ms, slots, core in ROWS:
        row: dict[str, Any] = _own_process(
            "--meters", meters, "--latency-ms", latency_ms, "--seconds", seconds
        )
        row["kept"] = (
            row["slots_percent"] >= slots
            and row["core_percent"] <= core
            and row["kb_a_meter"] <= MOST_KB
        )
        rows.append(row)
    show(rows)
    lines = _own_process("--rtu", "--seconds", seconds)
    for line in lines:
        print(
            f"RTU {line['baud']} Bd: {line['median_ms']:.1f} ms, {line['above_percent']:+.1f} % "
            f"of the wire's {line['theory_ms']:.1f} ms (goal 5 %)"
        )
    paced = _own_process("--serve", "--seconds", seconds)
    print(
        f"power/realtime of a service with 512 meters at 200 req/s: p50 {paced['p50_ms']:.2f} ms, "
        f"p99 {paced['p99_ms']:.2f} ms (goal 20 ms), {paced['core_percent']:.0f} % of a core, "
        f"quality {paced['quality']}"
    )
    print(json.dumps({"meters": rows, "rtu": lines, "serve": paced}))


def _own_process(*options: object) -> Any:
    command = [sys.executable, "-m", "tests.benchmarks.bench_meters", *map(str, options)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
