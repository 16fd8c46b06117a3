"""The arithmetic of a serial bus, against figures measured on real serial lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_profile import write_profile

from drivers.bus_load import PollLoad, bus_utilisation, check_bus_fits, wire_time_s
from drivers.engine import DeviceSpec, Engine
from drivers.errors import BusOverloadError


@pytest.mark.parametrize(
    ("baud", "milliseconds"), [(9600, 152.0), (19200, 78.0), (38400, 44.0), (115200, 20.0)]
)
def test_a_read_of_60_registers_takes_what_was_measured(baud: int, milliseconds: float) -> None:
    """60 registers at 5 ms turnaround: the formula is within 2 ms of minimalmodbus on a line."""
    assert 1000.0 * (wire_time_s(60, baud) + 0.005) == pytest.approx(milliseconds, abs=2.0)


def test_parity_costs_a_bit_a_character() -> None:
    """8E1 has 11 bits a character where 8N1 has 10."""
    assert wire_time_s(10, 9600, "8E1") == pytest.approx(1.1 * wire_time_s(10, 9600, "8N1"))


def test_polls_that_do_not_fit_are_refused_with_the_arithmetic() -> None:
    """The error names bus, rate, device, group, registers, duration, interval and the total."""
    loads = [PollLoad("meter", "fast", (60,), 0.1, 0.005)]
    assert bus_utilisation(loads, 9600, "8N1") == pytest.approx(1.51, abs=0.01)
    with pytest.raises(BusOverloadError) as refusal:
        check_bus_fits("serial:///dev/ttyS9", 9600, "8N1", loads)
    text = str(refusal.value)
    assert text.startswith("serial:///dev/ttyS9 at 9600 Bd 8N1 cannot carry its polls")
    assert "they take 151 % of its time" in text
    assert "meter fast: 60 registers in 1 reads take 151 ms of every 100 ms" in text


def test_an_engine_refuses_a_bus_that_cannot_fit_before_it_starts_anything() -> None:
    """Four SDM630 at 9600 Bd do not fit one line; three do not either, two do."""
    meters = [
        DeviceSpec(f"m{unit}", "eastron.sdm630", "serial:///dev/ttyS9?baud=9600", unit)
        for unit in range(1, 5)
    ]
    engine = Engine(meters)
    with pytest.raises(BusOverloadError, match="m4 fast: 72 registers in 1 reads"):
        engine.start()
    engine.remove("m4")
    engine.remove("m3")
    utilisation = engine.utilisation("m1")
    assert utilisation is not None
    assert utilisation < 1.0
    engine.stop()


def test_coils_take_a_bit_each(tmp_path: Path) -> None:
    """A read of 32 coils weighs on a line like one of two registers."""
    coils = {f"c{k}": {"addr": k, "fc": 1, "type": "bool", "unit": "1"} for k in range(32)}
    transport = {"max_regs": {"fc1": 32}, "turnaround_ms": 20, "baud": [19200]}
    path = write_profile(tmp_path, coils, transport=transport)
    engine = Engine([DeviceSpec("d", path, "serial:///dev/ttyS9")])
    expected = (wire_time_s(2, 19200) + 0.02) / 0.1
    assert engine.utilisation("d") == pytest.approx(expected)
