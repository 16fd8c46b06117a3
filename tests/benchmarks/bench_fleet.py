"""What `emulate --count N` costs: memory and processor time of each BMC beyond the first.

    python -m tests.benchmarks.bench_fleet [--counts 1 10 50] [--seconds 10]

Each BMC is asked for a few resources with its own login before memory is read, as a poller would.
Goal: at most 15 MB each beyond the first, as PSS and as USS (smaps_rollup).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.e2e.emulator_client import Running, emulator, wait_for

_PATHS = (
    "/redfish/v1/Systems",
    "/redfish/v1/dcpi/power/realtime",
    "/redfish/v1/Chassis/DCPI/Sensors?$expand=.",
    "/redfish/v1/EventService/Subscriptions",
)
_GOAL_MB = 15.0


class Cost(NamedTuple):
    """Of one process with `count` BMCs: s, MB, and percent of a core while nobody asks."""

    count: int
    all_ready_s: float
    start_processor_s: float
    pss_mb: float
    uss_mb: float
    idle_percent: float


def main() -> int:
    """Measure and print; 1 where a BMC costs more than the goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 10, 50])
    parser.add_argument("--seconds", type=float, default=10)
    arguments = parser.parse_args()
    costs = [measure(count, arguments.seconds) for count in arguments.counts]
    first = costs[0]
    print("                                                            each further BMC:")
    print("BMCs  all ready s  (processor s)  PSS MB  USS MB  idle %    PSS MB  USS MB  idle %")
    each: dict[int, list[float]] = {}
    for cost in costs:
        line = f"{cost.count:4}  {cost.all_ready_s:11.1f}  {cost.start_processor_s:13.1f}"
        line += f"  {cost.pss_mb:6.0f}  {cost.uss_mb:6.0f}  {cost.idle_percent:6.1f}"
        if cost.count > first.count:
            further = cost.count - first.count
            each[cost.count] = [
                (cost.pss_mb - first.pss_mb) / further,
                (cost.uss_mb - first.uss_mb) / further,
                (cost.idle_percent - first.idle_percent) / further,
            ]
            pss, uss, idle = each[cost.count]
            line += f"    {pss:6.2f}  {uss:6.2f}  {idle:6.2f}"
        print(line)
    print(json.dumps({"fleet": [cost._asdict() for cost in costs], "each_further": each}))
    return int(any(max(values[:2]) > _GOAL_MB for values in each.values()))


def measure(count: int, seconds: float) -> Cost:
    """Start so many, ask each of them, and look at the process while it is left alone."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        with emulator(Path(folder) / "state", "--count", count) as bmc:
            ports = [bmc.port, *bmc.more_ports(count - 1)]
            all_ready_s = time.monotonic() - began
            start_processor_s = processor_s(bmc.process.pid)
            for port in ports:
                bmc.port = port
                wait_for(lambda: _quality(bmc) == "ok", 60, f"quality ok on {port}")
                for path in _PATHS:
                    bmc.get(path)
            time.sleep(1)
            before_s, at = processor_s(bmc.process.pid), time.monotonic()
            time.sleep(seconds)
            idle = (processor_s(bmc.process.pid) - before_s) / (time.monotonic() - at)
            pss_mb, uss_mb = memory_mb(bmc.process.pid)
    return Cost(count, all_ready_s, start_processor_s, pss_mb, uss_mb, 100 * idle)


def memory_mb(pid: int) -> tuple[float, float]:
    """PSS and USS (private memory) in MB."""
    found = re.findall(
        r"^(Pss|Private_Clean|Private_Dirty): +(\d+) kB$",
        Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii"),
        re.MULTILINE,
    )
    sizes = {name: int(size) / 1024 for name, size in found}
    return sizes["Pss"], sizes["Private_Clean"] + sizes["Private_Dirty"]


def processor_s(pid: int) -> float:
    """User and system time of a process in s (proc(5): fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _quality(bmc: Running) -> object:
    with contextlib.suppress(OSError):
        return bmc.ask("GET", "/redfish/v1/dcpi/power/realtime").body.get("Quality")
    return None


if __name__ == "__main__":
    raise SystemExit(main())
