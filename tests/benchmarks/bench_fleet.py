"""What `emulate --count N` costs: memory and processor time of each BMC beyond the first.

    python -m tests.benchmarks.bench_fleet [--counts 1 10 50] [--seconds 10]

Each BMC is asked for a few resources with its own login before memory is read, as a poller would.
Goal: at most 15 MB each beyond the first, as PSS and as USS (smaps_rollup).
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import http.client
import json
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.e2e.emulator_client import COMMAND, PASSWORD, USER, unverified, wait_for

_PATHS = (
    "/redfish/v1/Systems",
    "/redfish/v1/dcpi/power/realtime",
    "/redfish/v1/Chassis/DCPI/Sensors?$expand=.",
    "/redfish/v1/EventService/Subscriptions",
)
_GOAL_MB = 15.0
_LONGEST_S = 600.0


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
        log = Path(folder) / "log"  # a pipe that nobody empties would stop it
        words = ["emulate", "--port", "0", "--count", str(count), "--state-dir", f"{folder}/state"]
        began = time.monotonic()
        with (
            log.open("w") as output,
            subprocess.Popen([COMMAND, *words], stdout=output, stderr=output) as process,
        ):
            try:
                ports = wait_for(lambda: ports_in(log, count), _LONGEST_S, "all BMCs")
                all_ready_s = time.monotonic() - began
                start_processor_s = processor_s(process.pid)
                for port in ports:
                    wait_for(lambda port=port: ask(port, "/readyz") == 200, _LONGEST_S, "ready")
                    assert [ask(port, path) for path in _PATHS] == [200] * len(_PATHS)
                time.sleep(1)
                before_s, at = processor_s(process.pid), time.monotonic()
                time.sleep(seconds)
                idle = (processor_s(process.pid) - before_s) / (time.monotonic() - at)
                pss_mb, uss_mb = memory_mb(process.pid)
            finally:
                process.terminate()
    return Cost(count, all_ready_s, start_processor_s, pss_mb, uss_mb, 100 * idle)


def ports_in(log: Path, count: int) -> list[int]:
    """The ports of all BMCs once the last of them is told; before that none."""
    urls = re.findall(r"https://[0-9.]+:(\d+)", log.read_text(encoding="utf-8"))
    ports = list(dict.fromkeys(int(port) for port in urls))
    return ports if len(ports) == count else []


def ask(port: int, path: str) -> int:
    """The status of a GET with the lab's login."""
    login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=60, context=unverified())
    with contextlib.closing(connection):
        connection.request("GET", path, headers={"Authorization": f"Basic {login}"})
        return connection.getresponse().status


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


if __name__ == "__main__":
    raise SystemExit(main())
