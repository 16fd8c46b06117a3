"""The plant's life as a process: stalls, ends, kills and starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

Launch = Callable[..., Any]
Listen = Callable[[Mapping[str, Any]], Any]
Until = Callable[..., None]
ROOT = Path(__file__).resolve().parents[3]


def test_stall_costs_no_sample(
    launch: Launch, listen: Listen, until: Until, tmp_path: Path
) -> None:
    """After the process stood still for a second, the stream holds every sample at its time."""
    with launch(tmp_path / "state") as plant, listen(plant.config["feeds"][0]) as peer:
        peer.frame()
        os.kill(plant.process.pid, signal.SIGSTOP)
        time.sleep(1.0)
        os.kill(plant.process.pid, signal.SIGCONT)

        def is_of_now(seconds: float) -> bool:
            first, samples = peer.seconds(seconds)
            end_s = peer.greeting["epoch_ns"] * 1e-9 + (first + samples.shape[1]) / 12_800
            return bool(abs(time.time() - end_s) < 0.5)

        is_of_now(1.5)
        until(lambda: is_of_now(0.1), "samples of now")
        until(lambda: abs(time.time() - plant.control.truth()["unix_s"]) < 0.5, "truth of now")


def test_it_ends_with_its_parent_and_cleans_up(launch: Launch, tmp_path: Path) -> None:
    """When standard input closes it stops within seconds and leaves no socket or line behind."""
    with launch(tmp_path / "state") as plant:
        assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
        plant.process.stdin.close()
        assert plant.process.wait(30) == 0
        assert [path.name for path in (tmp_path / "state").iterdir()] == ["meters.json"]
        assert plant.errors() == ""


def test_it_outlives_a_closed_stdin_unless_told(launch: Launch, tmp_path: Path) -> None:
    """Without --exit-with-stdin it runs on, and SIGTERM ends it with status 0."""
    with launch(tmp_path / "state", exit_with_stdin=False) as plant:
        plant.process.stdin.close()
        time.sleep(0.3)
        plant.control.ping()
        plant.process.send_signal(signal.SIGTERM)
        assert plant.process.wait(30) == 0


def test_killed_plant_starts_again_and_its_meters_remember(
    launch: Launch, until: Until, tmp_path: Path
) -> None:
    """After kill -9 the same state directory serves again, and the meters' energies go on."""
    state_dir = tmp_path / "state"
    with launch(state_dir) as plant:
        until(lambda: (state_dir / "meters.json").exists(), "the meters' memory")
        plant.process.kill()
        plant.process.wait()
    kept_j = json.loads((state_dir / "meters.json").read_text())["cooling"]["import_j"]
    assert kept_j > 0
    with launch(state_dir) as plant:
        truth = plant.control.truth()
        assert truth["feeds"]["cooling"]["energy_import_j"] >= kept_j
        device = plant.devices["loop_a_pressure"]
        assert Path(device["target"].removeprefix("serial://").partition("?")[0]).exists()


def _damage(state_dir: Path) -> list[str]:
    (state_dir / "meters.json").write_text('{"cooling": 1}')
    return []


def _name_nothing(state_dir: Path) -> list[str]:
    return ["--facility", "atlantis"]


def _block_line(state_dir: Path) -> list[str]:
    (state_dir / "loop_a_pressure.tty").mkdir()
    return []


def _dig_deep(state_dir: Path) -> list[str]:
    return ["--state-dir", str(state_dir / ("d" * 100))]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_damage, "meters.json: not the meters' energies"),
        (_name_nothing, "atlantis: No such file or directory (shipped facilities: campus-250mw)"),
        (_block_line, "loop_a_pressure.tty"),
        (_dig_deep, "choose a shorter --state-dir"),
    ],
)
def test_what_cannot_run_says_so_in_one_line(
    tmp_path: Path, spoil: Callable[[Path], list[str]], words: str
) -> None:
    """A start that cannot work ends with status 2 and one line that names what is wrong."""
    command = [sys.executable, "-m", "emulator.plant", "--state-dir", str(tmp_path)]
    result = subprocess.run(
        command + spoil(tmp_path),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("plant: ")
    assert words in result.stderr
