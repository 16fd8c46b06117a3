"""All at once: waveforms, Modbus meters, streams, pollers and $expand, against one service.

    python -m tests.benchmarks.bench_combined [--seconds 60]

64 three-phase feeds of 12.8 kS/s, 512 Modbus meters of 20 points at 10 Hz, 100 streams at 10 Hz,
200 pollers at 1 Hz with Basic that ask for Sensors, circuits and power/realtime, and $expand of
1000 Sensors once a second. Each load is a process of its own, on the same cores as the service.
"""

from __future__ import annotations

import argparse
import base64
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.bench_http import POWER, resident_mb, with_children
from tests.benchmarks.bench_meters import (
    PASSWORD,
    USER,
    bench_service,
    served_specs,
    service_cpu_s,
)
from tests.benchmarks.bench_windows import generator
from tests.benchmarks.limits import Limit, show
from tests.benchmarks.listeners import RAMP_UP_S
from tests.benchmarks.meter_server import POINTS
from tests.e2e.emulator_client import Running, wait_for

FEEDS = 64
METERS = 512
STREAMS = 100
POLLERS = 200
SENSORS = "/redfish/v1/Chassis/DCPI/Sensors"
EXPAND = f"{SENSORS}?$expand=.&$top=1000"
POLLED = (
    f"{SENSORS}/Facility_Power",
    f"{SENSORS}/Feed_f7_L1_Voltage",
    f"{SENSORS}/Device_m300_power.active.total",
    POWER,
)


def main() -> int:
    """Measure and print; 1 where a limit is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        served_specs(METERS, 0, Path(folder)) as devices,
        generator(12_800, 50) as port,
    ):
        waveform = {"type": "stream", "host": "127.0.0.1", "port": port}
        feeds = [
            {"id": f"f{number}", "rated_power_w": 1e6, "waveform": waveform}
            for number in range(FEEDS)
        ]
        with bench_service(Path(folder), devices, {"feeds": feeds}) as service:
            wait_for(lambda: all_known(service), 60, "all feeds are known")
            found = loaded(service, arguments.seconds)
            found["readings_known_percent"] = readings_known_percent(service)
    print(json.dumps(found))
    note = f"{arguments.seconds:g} s; the loads share the service's cores"
    return show(limits(found), note)


def all_known(service: Running) -> bool:
    """Whether every feed's newest window is good."""
    answer = service.ask("GET", POWER)
    return answer.status == 200 and answer.body["Quality"] == "ok"


def loaded(service: Running, seconds: float) -> dict[str, Any]:
    """The figures of all loads over the same time."""
    base = f"https://127.0.0.1:{service.port}"
    basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    header = f"Authorization: Basic {basic}"
    paced = ("--seconds", seconds, "--rate", 1, "--header", header)
    polled = [f"{base}{path}" for path in POLLED]
    stream = f"wss://127.0.0.1:{service.port}/redfish/v1/dcpi/power/stream"
    loads = {
        "streams": started("listeners", stream, STREAMS, seconds, header),
    }
    time.sleep(RAMP_UP_S)
    loads |= {
        "polls": started("load", *polled, "--connections", POLLERS, *paced),
        "expand": started("load", f"{base}{EXPAND}", *paced),
    }
    pid = service.process.pid
    cpu_s, begin = service_cpu_s(pid), time.monotonic()
    time.sleep(seconds)
    core_percent = 100 * (service_cpu_s(pid) - cpu_s) / (time.monotonic() - begin)
    found: dict[str, Any] = {"seconds": seconds, "service_core_percent": core_percent}
    for name, process in loads.items():
        output, _ = process.communicate(timeout=60)
        found[name] = json.loads(output)
    found["service_mb"] = sum(resident_mb(process) for process in with_children(pid))
    return found


def started(module: str, *arguments: object) -> subprocess.Popen[str]:
    """A load in its own process."""
    command = [sys.executable, "-m", f"tests.benchmarks.{module}", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def readings_known_percent(service: Running) -> float:
    """Of the first thousand points of the meters how many are known at the end."""
    skip = len(service.get(SENSORS)["Members"]) - METERS * POINTS
    time.sleep(2.0)  # without what has loaded it until now
    members = service.get(f"{SENSORS}?$expand=.&$skip={skip}&$top=1000")["Members"]
    known = sum(member["Reading"] is not None for member in members)
    return 100 * known / len(members)


def limits(found: dict[str, Any]) -> list[Limit]:
    """What is asked of the service, then what else it did."""
    streams, polls, expand = found["streams"], found["polls"], found["expand"]
    windows = 100 * streams["windows_ok"] / streams["windows_expected"]
    return [
        Limit("windows", windows, "%", least=99.9),
        Limit("GET p99", polls["p99_ms"], "ms", most=20),
        Limit("stream frames lost", streams["lost"], "", most=0),
        Limit("GET p50", polls["p50_ms"], "ms"),
        Limit("$expand of 1000 p50", expand["p50_ms"], "ms"),
        Limit("$expand of 1000 p99", expand["p99_ms"], "ms"),
        Limit("frames of the least stream", streams["least_frames"], ""),
        Limit("meters' points known", found["readings_known_percent"], "%"),
        Limit("service, of a core", found["service_core_percent"], "%"),
        Limit("service and sampling process, resident", found["service_mb"], "MB"),
    ]


if __name__ == "__main__":
    sys.exit(main())
