"""What `dcpi-bmc emulate` says when it cannot start, and when its plant ends."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from e2e.emulator_client import emulator

from emulator.plant_process import PlantProcess

ROOT = Path(__file__).resolve().parents[2]
RUN = [sys.executable, "-c", "from bmc_ext.cli import main; main()"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["--facility", "atlantis", "--state-dir", "s"],
            "atlantis: No such file or directory (shipped facilities: campus-250mw)",
        ),
        (["--state-dir", "s" * 120], "choose a shorter --state-dir"),
        (["--clock", "noon"], "not a date and time with its UTC offset"),
        (["--clock", "2028-02-29T12:00:00"], "not a date and time with its UTC offset"),
        (["--clock", "2200-01-01T00:00:00Z"], "only the years 1970 to 2199"),
        (["--state-dir", ""], "an empty text names no folder"),
        (["--count", "3", "--port", "65534"], "3 ports from there end above 65535"),
    ],
)
def test_what_cannot_start_is_one_line_and_status_2(
    tmp_path: Path, options: list[str], words: str
) -> None:
    """An unknown campus and a path too long for a socket are told at once, before anything runs."""
    result = subprocess.run(
        [*RUN, "emulate", *options],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (result.returncode, result.stdout) == (2, "")
    line = result.stderr.splitlines()[-1]
    assert words in line
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_a_relative_name_holds_all_of_its_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Certificate, audit log and identity lie where the databases do, and nowhere below."""
    monkeypatch.chdir(tmp_path)
    with emulator(Path("lab")):
        there = {path.name for path in (tmp_path / "lab").iterdir()}
    assert {"audit", "tls", "uuid", "state.sqlite", "control.sock"} <= there
    assert "lab" not in there
    assert [path.name for path in tmp_path.iterdir()] == ["lab"]


def test_plant_that_dies_is_told_once(tmp_path: Path) -> None:
    """The end of a plant that nobody stopped is told with its exit status."""
    told: queue.Queue[int] = queue.Queue()
    with PlantProcess("campus-250mw", seed=1, state_dir=tmp_path / "plant") as plant:
        plant.wait_ready()
        plant.watch(told.put)
        os.kill(plant.pid, signal.SIGKILL)
        assert told.get(timeout=10) == -signal.SIGKILL
    assert told.empty()


def test_plant_that_is_stopped_is_not_told(tmp_path: Path) -> None:
    """The end that the emulator wants is no news."""
    told: list[int] = []
    with PlantProcess("campus-250mw", seed=1, state_dir=tmp_path / "plant") as plant:
        plant.wait_ready()
        plant.watch(told.append)
    time.sleep(0.1)
    assert told == []
