"""A clock, an engine and analysed windows that a test sets by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bmc_ext.config import parse_config
from bmc_ext.sampling import Flag
from bmc_ext.sampling.sampler import Window
from bmc_ext.settings import Config
from bmc_ext.state import StateDirectory
from drivers.reading import Quality, Reading

START_S = 1_772_619_300
"""A whole minute, Unix time."""


class HandClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_ns = START_S * 1_000_000_000
        self.monotonic = 1000.0

    def unix_ns(self) -> int:
        """UTC in ns."""
        return self.now_ns

    def monotonic_s(self) -> float:
        """Seconds that never step."""
        return self.monotonic

    def sleep(self, seconds: float) -> None:
        """Sleeping lets the time pass."""
        self.pass_(seconds)

    def pass_(self, seconds: float) -> None:
        """Time goes by."""
        self.step(seconds)
        self.monotonic += seconds

    def step(self, seconds: float) -> None:
        """Only the wall clock is set."""
        self.now_ns += round(seconds * 1e9)


class HandEngine:
    """Answers with the readings that a test put in."""

    def __init__(self) -> None:
        self.points: dict[tuple[str, str], Reading] = {}
        self.asked: list[str] = []

    def put(
        self,
        device: str,
        point: str,
        value: float | None,
        unit: str,
        quality: Quality = Quality.OK,
        uncertainty: float | None = None,
        against: str | None = None,
    ) -> None:
        """Set what a point reads."""
        self.points[device, point] = Reading(
            value,
            unit,
            quality,
            measured_at=START_S - 0.5,
            uncertainty=uncertainty,
            against=against,
        )

    def reading(self, device_id: str, point: str) -> Reading:
        """The reading, and a note that it was asked for."""
        self.asked.append(point)
        try:
            return self.points[device_id, point]
        except KeyError:
            raise KeyError(f"device {device_id!r} has no point {point!r}") from None


@pytest.fixture
def clock() -> HandClock:
    """A clock at START_S."""
    return HandClock()


@pytest.fixture
def engine() -> HandEngine:
    """An engine without any point."""
    return HandEngine()


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateDirectory]:
    """A state directory of this test's own."""
    directory = StateDirectory(tmp_path / "state")
    yield directory
    directory.close()


_NO_FLAG = Flag(0)


def _phase(p_w: float, p_mean_w: float) -> SimpleNamespace:
    return SimpleNamespace(
        v_rms=230.0, i_rms=abs(p_w) / 230.0, p_w=p_w, p_mean_w=p_mean_w, s_va=abs(p_w) * 1.25,
        q1_var=0.75 * p_w, p1_w=p_w, pf=0.8, dpf=0.8, thd_v_percent=1.5, thd_i_percent=4.0,
    )  # fmt: skip


@pytest.fixture
def make_window() -> Callable[..., Window]:
    """Builds a window of three equal phases with a plain-mean power of `p_mean_w` in total."""

    def build(
        feed_id: str,
        window_id: int,
        p_mean_w: float = 3000.0,
        *,
        p_w: float | None = None,
        flags: Flag = _NO_FLAG,
        source_flags: tuple[str, ...] = (),
        analysed: bool = True,
        samples: int = 1280,
    ) -> Window:
        shown_w = p_mean_w if p_w is None else p_w
        analysis: Any = SimpleNamespace(
            frequency_hz=50.01,
            flags=flags,
            phases=tuple(_phase(shown_w / 3, p_mean_w / 3) for _ in range(3)),
            total=SimpleNamespace(
                p_w=shown_w,
                p_mean_w=p_mean_w,
                q1_var=0.75 * shown_w,
                s_va=1.25 * abs(shown_w),
                pf=math.copysign(0.8, shown_w),
            ),
        )
        return Window(
            feed_id=feed_id,
            window_id=window_id,
            start_ns=window_id * 100_000_000,
            phases=3,
            analysis=analysis if analysed else None,
            flags=source_flags,
            samples=samples,
            expected=1280,
        )

    return build


@pytest.fixture
def make_config(tmp_path: Path) -> Callable[..., Config]:
    """Builds a configuration with waveform feeds, meter feeds (on device `m_<feed>`) and loops."""

    def build(
        waveforms: tuple[str, ...] = (),
        meters: tuple[str, ...] = (),
        loops: tuple[dict[str, Any], ...] = (),
        silicon: tuple[dict[str, Any], ...] = (),
        devices: tuple[str, ...] = (),
    ) -> Config:
        known = (*devices, *(f"m_{feed}" for feed in meters))
        return parse_config(
            {
                "facility": {"id": "site", "rated_power_w": 1e6},
                "state_dir": "state",
                "devices": [
                    {"id": device, "profile": "any", "target": "tcp://127.0.0.1:1"}
                    for device in known
                ],
                "feeds": [
                    *(
                        {
                            "id": feed,
                            "rated_power_w": 1e5,
                            "waveform": {"type": "stream", "port": 1},
                        }
                        for feed in waveforms
                    ),
                    *({"id": f, "rated_power_w": 1e5, "meter": f"m_{f}"} for f in meters),
                ],
                "loops": list(loops),
                "silicon": list(silicon),
            },
            base=tmp_path,
        )

    return build
