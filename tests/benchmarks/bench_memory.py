"""Resident memory of `serve` with four waveform feeds, after a while of measuring and answering.

    python -m tests.benchmarks.bench_memory [--seconds 60]

The feeds are the halls of a simulated campus in its own process. Goal: at most 120 MB.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import yaml

from emulator.plant_process import PlantProcess
from tests.benchmarks.bench_http import POWER, resident_mb
from tests.e2e.emulator_client import COMMAND, running, wait_for

USER, PASSWORD = "bench", "bench-secret"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        with PlantProcess("campus-250mw", seed=1, state_dir=scratch / "plant") as plant:
            config = write_config(scratch, plant.wait_ready().config)
            memory_mb = measure(config, arguments.seconds)
    print(
        f"resident memory of serve with 4 feeds after {arguments.seconds:.0f} s: {memory_mb:.0f} MB"
    )
    print(json.dumps({"serve_memory_mb": memory_mb}))


def write_config(scratch: Path, fragment: dict[str, object]) -> Path:
    """A service over the campus's four halls, and nothing else."""
    feeds = [feed for feed in fragment["feeds"] if "waveform" in feed]  # type: ignore[attr-defined]
    assert len(feeds) == 4
    config = scratch / "service.yaml"
    document = {"facility": fragment["facility"], "state_dir": "state", "feeds": feeds}
    config.write_text(yaml.safe_dump(document), encoding="utf-8")
    return config


def measure(config: Path, seconds: float) -> float:
    """Resident memory in MB after `seconds` of measuring, with one poll a second."""
    set_password = [COMMAND, "serve", "--config", config, "--set-password", USER]
    answers = f"{PASSWORD}\n{PASSWORD}\n"
    subprocess.run(set_password, input=answers, text=True, check=True, capture_output=True)
    with running("serve", "--config", config, "--port", 0) as service:
        service.user, service.password = USER, PASSWORD
        wait_for(lambda: service.ask("GET", POWER).body.get("Quality") == "ok", 10, "quality ok")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            service.get(POWER)
            time.sleep(1)
        return resident_mb(service.process.pid)


if __name__ == "__main__":
    main()
