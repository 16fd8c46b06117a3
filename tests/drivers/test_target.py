"""Device addresses."""

from __future__ import annotations

import pytest

from drivers.engine import DeviceSpec, Engine
from drivers.errors import TargetError
from drivers.target import SerialTarget, TcpTarget, parse_target


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("tcp://meter.example:1502", TcpTarget("meter.example", 1502)),
        ("tcp://10.0.0.7", TcpTarget("10.0.0.7", 502)),
        ("tcp://[::1]:502", TcpTarget("::1", 502)),
        ("serial:///dev/ttyUSB0", SerialTarget("/dev/ttyUSB0")),
        (
            "serial:///dev/ttyUSB0?baud=19200&framing=8E1",
            SerialTarget("/dev/ttyUSB0", 19200, "8E1"),
        ),
    ],
)
def test_targets_are_read(text: str, target: TcpTarget | SerialTarget) -> None:
    """Both kinds of target are understood, with their defaults."""
    assert parse_target(text) == target


@pytest.mark.parametrize(
    "text",
    [
        "", "10.0.0.7:502", "http://10.0.0.7", "tcp://", "tcp://h:99999", "serial://ttyUSB0",
        "serial:///dev/x?baud=fast", "serial:///dev/x?baud=1", "serial:///dev/x?framing=7N1",
        "serial:///dev/x?speed=9600",
    ],
)  # fmt: skip
def test_what_is_no_target_is_refused_by_name(text: str) -> None:
    """Anything else is a TargetError that quotes it."""
    with pytest.raises(TargetError, match="target"):
        parse_target(text)


def test_devices_on_a_line_agree_on_its_rate() -> None:
    """Two rates on one serial line are refused, naming both devices."""
    with pytest.raises(
        TargetError, match=r"'b' wants 19200 Bd 8N1 on serial:///dev/ttyS9, where 'a' has 9600"
    ):
        Engine(
            [
                DeviceSpec("a", "keller.33x", "serial:///dev/ttyS9?baud=9600", 1),
                DeviceSpec("b", "keller.33x", "serial:///dev/ttyS9?baud=19200", 2),
            ]
        )


@pytest.mark.parametrize(
    ("target", "unit"),
    [("serial:///dev/ttyS9", 0), ("serial:///dev/ttyS9", 248), ("tcp://h", 256)],
)
def test_units_stay_in_their_bounds(target: str, unit: int) -> None:
    """A unit that the protocol does not have is refused."""
    with pytest.raises(TargetError, match=f"unit {unit}"):
        Engine([DeviceSpec("a", "keller.33x", target, unit)])
