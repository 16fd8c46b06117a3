"""The plant's time-keeping on a clock of the test's own."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from emulator.plant.facility import Facility
from emulator.plant.plant import Plant

EPOCH_S = 1_790_000_000


class Clock:
    """A monotonic clock that stands at `now_s` and ends the run when it was asked often enough."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.stop = threading.Event()
        self.asked = 0

    def monotonic_s(self) -> float:
        """Stand still."""
        self.asked -= 1
        if self.asked == 0:
            self.stop.set()
        return self.now_s

    def run(self, plant: Plant, now_s: float, *, asked: int) -> None:
        """Let the plant run at that time until it has asked so often."""
        self.now_s, self.asked = now_s, asked
        self.stop.clear()
        plant.run(self.stop)


@pytest.mark.parametrize(
    ("stall_s", "asked", "energy_s"),
    [
        pytest.param(2.0, 41, 2.0, id="a stall of two seconds is caught up"),
        pytest.param(100.0, 2, 0.0, id="one beyond a minute is left out"),
    ],
)
def test_stalls_are_caught_up_or_left_out(
    facility: Facility, tmp_path: Path, stall_s: float, asked: int, energy_s: float
) -> None:
    """After a stall time is true again; up to a minute the physics has lived through it."""
    clock = Clock()
    plant = Plant(
        facility,
        1,
        tmp_path,
        unix_ns=lambda: EPOCH_S * 10**9 - 1,
        monotonic_s=clock.monotonic_s,
    )
    clock.run(plant, stall_s + 0.001, asked=asked)
    truth = plant.truth()
    assert truth["unix_s"] == pytest.approx(EPOCH_S + stall_s, abs=0.06)
    power_w = truth["feeds"]["hall_1"]["p_w"]
    energy_j = truth["feeds"]["hall_1"]["energy_import_j"]
    assert energy_j == pytest.approx(power_w * energy_s, rel=0.02, abs=1.0)


def test_a_full_disk_costs_the_energies_only(
    facility: Facility, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where nothing can be kept the campus goes on and says so once; then it is kept again."""
    clock = Clock()
    plant = Plant(
        facility,
        1,
        tmp_path,
        unix_ns=lambda: EPOCH_S * 10**9 - 1,
        monotonic_s=clock.monotonic_s,
    )
    in_the_way = tmp_path / "meters.new"
    in_the_way.mkdir()
    clock.run(plant, 3.001, asked=61)
    assert plant.truth()["unix_s"] == pytest.approx(EPOCH_S + 3, abs=0.06)
    (warning,) = caplog.messages
    assert "the meters' energies are not kept" in warning
    assert not (tmp_path / "meters.json").exists()
    in_the_way.rmdir()
    clock.run(plant, 5.001, asked=41)
    kept = json.loads((tmp_path / "meters.json").read_text(encoding="utf-8"))
    assert kept["cooling"]["import_j"] > 0
    assert len(caplog.messages) == 1
