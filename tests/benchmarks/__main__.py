"""All figures one after another: `make bench`, or `make bench ARGS=--long` for the ten minutes.

Each benchmark is its own process and prints a table and one JSON line; machines with two shared
cores give medians, not promises.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def main() -> int:
    """Run them all; 1 if any of them failed."""
    seconds = "600" if "--long" in sys.argv else "60"
    runs = [
        ("a System and power/realtime beside stock sushy-tools", ["bench_http"]),
        ("$expand of 1000 Sensors", ["bench_expand"]),
        ("a GET beside 20 and 10,000 sensors", ["bench_scale"]),
        ("all loads at once", ["bench_combined", "--seconds", seconds]),
        ("16 feeds at 12.8 kS/s", ["bench_windows", "--seconds", seconds, "--feeds", "16"]),
        ("sampled values", ["bench_sampled_values"]),
        ("events in blocks of 5 ms", ["bench_events"]),
        ("values over 10/12 cycles", ["bench_cycles"]),
        ("a window beside six FFTW FFTs", ["bench_core"]),
        ("sources on one core", ["bench_sources"]),
        ("instructions on Arm", ["bench_arm"]),
        ("announce with 1000 workloads known", ["bench_announce"]),
        ("snapshot, ring and history", ["bench_history"]),
        ("from start to the first answer", ["bench_start"]),
        ("many BMCs in one process", ["bench_fleet"]),
        ("memory of serve", ["bench_memory", "--seconds", "60"]),
        ("Modbus meters in one engine", ["bench_meters", "--seconds", seconds]),
        ("200 hwmon sensors at 10 Hz", ["bench_sysfs"]),
    ]
    failed = 0
    for title, (module, *options) in runs:
        print(f"\n=== {title}", flush=True)
        command = [sys.executable, "-m", f"tests.benchmarks.{module}", *options]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        failed += bool(subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
