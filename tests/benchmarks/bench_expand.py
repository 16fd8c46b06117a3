"""$expand of 1000 Sensors over TLS, of feeds and of the points of devices.

    python -m tests.benchmarks.bench_expand [--seconds 20]

A service polls 63 meters of 20 points at 10 Hz; each is a feed, too. One client asks five times a
second and reads the whole answer. What $expand gives of a window is compared with power/realtime.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from tests.benchmarks.bench_http import POWER, load, ready
from tests.benchmarks.bench_meters import metered_service, service_cpu_s
from tests.benchmarks.limits import Limit, show
from tests.benchmarks.meter_server import POINTS
from tests.e2e.emulator_client import Running, wait_for

FEEDS = 63  # of 16 sensors each: a thousand, with the facility's own
COUNT = 1000
SENSORS = "/redfish/v1/Chassis/DCPI/Sensors"
RATE_HZ = 5


def main() -> int:
    """Measure and print; 1 where a limit is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    seconds = parser.parse_args().seconds
    found: dict[str, Any] = {}
    with metered_service(FEEDS, FEEDS) as service:
        _, header = ready(service)
        wait_for(lambda: is_as_in_realtime(service), 20, "one window on both sides")
        skip = len(service.get(SENSORS)["Members"]) - FEEDS * POINTS
        for name, first in (("feeds", 0), ("devices", skip)):
            url = f"https://127.0.0.1:{service.port}{expanding(COUNT, first)}"
            cpu_s, begin = service_cpu_s(service.process.pid), time.monotonic()
            time.sleep(2)
            idle = (service_cpu_s(service.process.pid) - cpu_s) / (time.monotonic() - begin)
            cpu_s, begin = service_cpu_s(service.process.pid), time.monotonic()
            paced = load(url, "--rate", RATE_HZ, "--seconds", seconds, "--header", header)
            spent_s = service_cpu_s(service.process.pid) - cpu_s
            beyond_s = spent_s - idle * (time.monotonic() - begin)
            found[name] = {**paced, "cpu_ms": 1e3 * beyond_s / paced["count"]}
    print(json.dumps(found))
    limits = [
        limit
        for name, of in found.items()
        for limit in (
            Limit(f"{COUNT} Sensors of {name}, p99", of["p99_ms"], "ms", most=50),
            Limit(f"{COUNT} Sensors of {name}, p50", of["p50_ms"], "ms"),
            Limit("processor time beside what it does anyway", of["cpu_ms"], "ms"),
        )
    ]
    return show(limits, f"{RATE_HZ * seconds:g} answers each")


def expanding(count: int, first: int) -> str:
    """The path that asks for so many Sensors from that one on."""
    return f"{SENSORS}?$expand=.&$skip={first}&$top={count}"


def is_as_in_realtime(service: Running) -> bool:
    """Whether both answers were of one window; AssertionError where they tell of it differently."""
    window = service.get(POWER)
    members = service.get(expanding(COUNT, 0))["Members"]
    sensors = {
        member["Id"]: member["Reading"]
        for member in members
        if member["Oem"]["DCPI"]["WindowId"] == window["WindowId"]
    }
    known = {f"Feed_{feed['FeedId']}_Power": feed["PowerWatts"] for feed in window["Feeds"]}
    common = sensors.keys() & known.keys()
    assert all(sensors[name] == known[name] for name in common), window["WindowId"]
    return len(common) == len(known)


if __name__ == "__main__":
    sys.exit(main())
