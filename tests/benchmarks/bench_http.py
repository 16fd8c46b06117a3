"""GET a System and power/realtime over TLS beside stock sushy-tools without authentication.

    python -m tests.benchmarks.bench_http [--seconds 5] [--rounds 3] [--paced-seconds 20]

Peers: sushy-emulator under its own Werkzeug server and under gunicorn (gthread, 8 threads), plain
HTTP, asked for a System and for the root. Rounds alternate between the servers; medians are shown.
What a Reset, a PATCH or another client changes must be in the very next answer.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks.limits import Limit, show
from tests.e2e.emulator_client import Running, emulator, wait_for

POWER = "/redfish/v1/dcpi/power/realtime"
BIN = Path(sys.executable).parent
OUR_SYSTEM, OUR_POWER = "ours: System, TLS, token", "ours: power/realtime, TLS, token"
PEERS = ("sushy, Werkzeug", "sushy, gunicorn gthread 8")


def load(url: str, *options: object) -> dict[str, Any]:
    """The summary of one run of the load generator in its own process."""
    words = [sys.executable, "-m", "tests.benchmarks.load", url, *map(str, options)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


@contextlib.contextmanager
def peer(command: list[str], port: int, scratch: Path) -> Iterator[str]:
    """A stock sushy-tools server that answers; its base URL."""
    settings = scratch / "peer.conf"
    settings.write_text(
        f'SUSHY_EMULATOR_FAKE_DRIVER = True\nSUSHY_EMULATOR_STATE_DIR = "{scratch}"\n',
        encoding="utf-8",
    )
    environment = {**os.environ, "SUSHY_EMULATOR_CONFIG": str(settings)}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env=environment, start_new_session=True, **quiet)
    base = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: _answers(base), 20, f"{command[0]} answers")
        yield base
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)


def _answers(base: str) -> bool:
    with contextlib.suppress(OSError):
        urllib.request.urlopen(f"{base}/redfish/v1/", timeout=1).close()
        return True
    return False


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def main() -> int:
    """Measure and print; 1 where a limit is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--paced-seconds", type=float, default=20)
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bmc = stack.enter_context(emulator(scratch / "bmc"))
        ours, header = ready(bmc)
        own_system = bmc.get("/redfish/v1/Systems")["Members"][0]["@odata.id"]
        check_next_answers(bmc, own_system, header)
        token = ["--header", header]
        targets = {
            OUR_SYSTEM: (f"https://127.0.0.1:{bmc.port}{own_system}", token),
            OUR_POWER: (ours, token),
        }
        for name, base in start_peers(stack, scratch).items():
            system = first_system(base)
            targets[f"{name}: System"] = (system, [])
            targets[f"{name}: root"] = (f"{base}/redfish/v1/", [])
        paced = load(ours, "--rate", 200, "--seconds", arguments.paced_seconds, "--header", header)
        rates = measure(targets, arguments.rounds, arguments.seconds)
        memory_mb = resident_mb(bmc.process.pid)
    show_rates(rates, paced, memory_mb)
    return show(limits(rates, paced), "× is against sushy's System at as many connections")


def check_next_answers(bmc: Running, system: str, header: str) -> None:
    """A System that is asked all the time shows each change in the next answer; AssertionError."""
    name, _, token = header.partition(": ")

    def shown(member: str) -> Any:
        answers = [bmc.ask("GET", system, headers={name: token}).body for _ in range(3)]
        return answers[0][member]

    def change(method: str, path: str, body: object, **headers: str) -> None:
        answer = bmc.ask(method, path, body, headers=headers)
        assert answer.status in (200, 202, 204), answer

    for number in range(10):
        kind = "On" if number % 2 == 0 else "ForceOff"
        change("POST", f"{system}/Actions/ComputerSystem.Reset", {"ResetType": kind})
        assert shown("PowerState") == kind.removeprefix("Force")
        target = ("Pxe", "Cd")[number % 2]
        change("PATCH", system, {"Boot": {"BootSourceOverrideTarget": target}}, **{name: token})
        assert shown("Boot")["BootSourceOverrideTarget"] == target
        lit = number % 2 == 0
        change("PATCH", system, {"LocationIndicatorActive": lit})  # another client, with Basic
        assert shown("LocationIndicatorActive") is lit


def limits(rates: dict[str, dict[int, float]], paced: dict[str, Any]) -> list[Limit]:
    """What is asked of this service: ten times the faster peer."""

    def ratio(name: str, count: int) -> float:
        return rates[name][count] / max(rates[f"{peer}: System"][count] for peer in PEERS)

    return [
        Limit("System, 16 connections", ratio(OUR_SYSTEM, 16), "×", least=10),
        Limit("System, 1 connection", ratio(OUR_SYSTEM, 1), "×"),
        Limit("power/realtime, 16 connections", ratio(OUR_POWER, 16), "×", least=10),
        Limit("power/realtime, 1 connection", ratio(OUR_POWER, 1), "×", least=10),
        Limit("power/realtime at 200 requests a second, p99", paced["p99_ms"], "ms", most=20),
    ]


def ready(bmc: Running) -> tuple[str, str]:
    """The URL of power/realtime and a session's header, once the first window is good."""
    wait_for(lambda: bmc.ask("GET", POWER).status == 200, 15, "the first window")
    body = {"UserName": bmc.user, "Password": bmc.password}
    session = bmc.ask("POST", "/redfish/v1/SessionService/Sessions", body, auth=False)
    return (
        f"https://127.0.0.1:{bmc.port}{POWER}",
        f"X-Auth-Token: {session.headers['x-auth-token']}",
    )


def start_peers(stack: contextlib.ExitStack, scratch: Path) -> dict[str, str]:
    """Stock sushy-tools twice."""
    found = {}
    for name in PEERS:
        folder = scratch / name.replace(" ", "-").replace(",", "")
        folder.mkdir()
        port = free_port()
        if "Werkzeug" in name:
            command = [f"{BIN}/sushy-emulator", "--fake", "-i", "127.0.0.1", "-p", str(port)]
        else:
            bind = ["-b", f"127.0.0.1:{port}", "-k", "gthread", "--threads", "8"]
            command = [f"{BIN}/gunicorn", *bind, "tests.benchmarks.stock_sushy:app"]
        found[name] = stack.enter_context(peer(command, port, folder))
    return found


def first_system(base: str) -> str:
    """The URL of the peer's first System."""
    with urllib.request.urlopen(f"{base}/redfish/v1/Systems", timeout=10) as answer:
        return f"{base}{json.load(answer)['Members'][0]['@odata.id']}"


def measure(
    targets: dict[str, tuple[str, list[str]]], rounds: int, seconds: float
) -> dict[str, dict[int, float]]:
    """Median requests a second of each target at 1 and at 16 connections."""
    console = Console(stderr=True)
    found: dict[str, dict[int, list[float]]] = {name: {1: [], 16: []} for name in targets}
    with console.status("measuring …") as status:
        for turn in range(rounds):
            for name, (url, options) in targets.items():
                for count in (1, 16):
                    status.update(f"round {turn + 1} of {rounds}: {name}, {count} connections")
                    result = load(url, "--connections", count, "--seconds", seconds, *options)
                    found[name][count].append(result["requests_per_s"])
    return {
        name: {count: statistics.median(values) for count, values in by_count.items()}
        for name, by_count in found.items()
    }


def with_children(pid: int) -> list[int]:
    """The process and those that it has started."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [pid, *(int(child) for task in tasks for child in task.read_text("ascii").split())]


def resident_mb(pid: int) -> float:
    """Resident memory of one process in MB."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"no VmRSS of process {pid}")


def show_rates(rates: dict[str, dict[int, float]], paced: dict[str, Any], memory_mb: float) -> None:
    """The table, and one line for machines."""
    reference = rates["sushy, Werkzeug: System"]
    table = Table("server and resource", "req/s, 1 conn.", "×", "req/s, 16 conn.", "×")
    for name, by_count in rates.items():
        cells = []
        for count in (1, 16):
            cells += [f"{by_count[count]:.0f}", f"{by_count[count] / reference[count]:.1f}"]
        table.add_row(name, *cells)
    console = Console()
    console.print(table, "× is against sushy's System under Werkzeug; medians, shared machine")
    console.print(f"paced 200 req/s: p50 {paced['p50_ms']:.2f} ms, p99 {paced['p99_ms']:.2f} ms")
    console.print(f"resident memory of the emulator's service process: {memory_mb:.0f} MB")
    print(json.dumps({"rates": rates, "paced": paced, "memory_mb": memory_mb, "at": time.time()}))


if __name__ == "__main__":
    sys.exit(main())
