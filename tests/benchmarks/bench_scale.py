"""What a GET costs beside 20 and beside 10,000 sensors, and how the service starts with them.

    python -m tests.benchmarks.bench_scale [--seconds 0.4] [--rounds 7]

Two services run at once, one with a meter of 20 points, one with 500; each asks its meters every
10 s only, so that what differs is the tree and not the polling. Rounds alternate between the two:
many short ones, of which the median is taken, in about a minute.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import time
from typing import Any

from tests.benchmarks.bench_http import POWER, load, ready, resident_mb
from tests.benchmarks.bench_meters import metered_service
from tests.benchmarks.limits import Limit, show
from tests.benchmarks.meter_server import POINTS

METERS = {"few": 1, "many": 500}
EVERY_MS = 10_000
SENSORS = "/redfish/v1/Chassis/DCPI/Sensors"
PATHS = (
    "/redfish/v1",
    "/redfish/v1/Chassis/DCPI",
    f"{SENSORS}/Facility_Power",
    f"{SENSORS}/Device_m0_frequency",
    f"{SENSORS}/Device_m0_frequency?$select=Reading",
    POWER,
)
MOST_RATIO = 1.2  # of two medians on a machine that does other things


def main() -> int:
    """Measure and print; 1 where a limit is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.4)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        services, started_s = {}, {}
        for name, meters in METERS.items():
            begin = time.monotonic()
            services[name] = stack.enter_context(metered_service(meters, 1, EVERY_MS))
            started_s[name] = time.monotonic() - begin
        headers = {name: ready(service)[1] for name, service in services.items()}
        p50_ms: dict[str, dict[str, list[float]]] = {
            path: {name: [] for name in services} for path in PATHS
        }
        for turn in range(arguments.rounds):
            print(f"round {turn + 1} of {arguments.rounds}", file=sys.stderr, flush=True)
            for path in PATHS:
                for name, service in services.items():
                    url = f"https://127.0.0.1:{service.port}{path}"
                    options = ("--seconds", arguments.seconds, "--header", headers[name])
                    p50_ms[path][name].append(load(url, *options)["p50_ms"])
        memory_mb = {n: resident_mb(service.process.pid) for n, service in services.items()}
    print(json.dumps({"p50_ms": p50_ms, "memory_mb": memory_mb, "started_s": started_s}))
    return show(limits(p50_ms, memory_mb, started_s), "p50 of many sensors over p50 of few")


def limits(
    p50_ms: dict[str, dict[str, list[float]]],
    memory_mb: dict[str, float],
    started_s: dict[str, float],
) -> list[Limit]:
    """One line a path, then memory and start."""
    found: list[Limit] = []
    for path, of in p50_ms.items():
        few, many = (statistics.median(of[name]) for name in METERS)
        found.append(Limit(f"{path}, {few:.2f} ms", many / few, "×", most=MOST_RATIO))
    sensors = POINTS * (METERS["many"] - METERS["few"])
    per_sensor: Any = 1024 * (memory_mb["many"] - memory_mb["few"]) / sensors
    return [
        *found,
        Limit("memory a sensor", per_sensor, "kB"),
        Limit("meters and service started, few", started_s["few"], "s"),
        Limit("meters and service started, many", started_s["many"], "s"),
    ]


if __name__ == "__main__":
    sys.exit(main())
