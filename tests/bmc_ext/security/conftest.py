"""A state directory and a clock that the test turns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bmc_ext.state import StateDirectory


class HandClock:
    """A clock that stands still until the test advances it."""

    def __init__(self) -> None:
        self.unix_s = 1_767_225_600.0  # 2026-01-01
        self.running_s = 1000.0

    def unix_ns(self) -> int:
        """Nanoseconds since 1970."""
        return int(self.unix_s * 1e9)

    def monotonic_s(self) -> float:
        """Seconds of the running clock."""
        return self.running_s

    def sleep(self, seconds: float) -> None:
        """Advance instead of waiting."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Turn both clocks forward."""
        self.unix_s += seconds
        self.running_s += seconds


@pytest.fixture
def clock() -> HandClock:
    """A clock for the test to turn."""
    return HandClock()


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateDirectory]:
    """A fresh state directory."""
    directory = StateDirectory(tmp_path / "state")
    yield directory
    directory.close()
