"""Reference tables, and what can be no reference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from drivers.check import Bench, CheckSettings, DeviceReference, TableReference
from drivers.errors import CheckError
from drivers.profile import Profile, load_profile


def test_a_table_is_read_in_canonical_units(station: Profile, tmp_path: Path) -> None:
    """Units, zones, uncertainty and empty cells count; a row still being written does not."""
    path = tmp_path / "lab.csv"
    path.write_text(
        "time,power.active [kW],power.active.uncertainty,feed [mbar],feed.uncertainty [bar]\n"
        "2026-01-01T00:00:01+01:00,50,0.05,3000,0.001\n"
        "1767222000.5,51,,3100,0.002\n"
        "1767222002,52"
    )
    found = TableReference(path).series(station, {"pressure.loop": "feed"})
    power, pressure = found["power.active"], found["pressure.loop"]
    np.testing.assert_allclose(power.time_s, [1767222000.5, 1767222001.0])
    np.testing.assert_allclose(power.value, [51e3, 50e3])
    np.testing.assert_allclose(power.uncertainty, [np.nan, 50.0])
    np.testing.assert_allclose(pressure.value, [3.1, 3.0])
    np.testing.assert_allclose(pressure.uncertainty, [0.002, 0.001])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no header line"),
        ("power.active\n1\n", ":1: no column 'time'"),
        ("time,power.active\n1,x\n", ":2: power.active: 'x' is no number"),
        ("time,power.active\n1,2\nsoon,2\n", ":3: 'soon' is no time"),
        ("time,power.active\n1,2\nnan,2\n", ":3: 'nan' is no time"),
        ("time,power.active\n1,2\n2,2\n1.0,2\n", ":4: the time '1.0' is that of line 2"),
        ("time,power.active\n2026-01-01T00:00:00,2\n", ":2: '2026-01-01T00:00:00' does not say"),
        ("time,power.active\n1\n", ":2: no cell for 'power.active'"),
        ("time,power.active [bar]\n1,2\n", ":1: column 'power.active' is in bar, the point in W"),
        ("time,power.active [hp]\n1,2\n", ":1: column 'power.active': unknown unit 'hp'"),
        ("time,power.active,power.active\n1,2,3\n", "is there twice"),
        ("time,other\n1,2\n", "no column is named as a point of lab.station"),
    ],
)
def test_a_wrong_table_is_refused_by_line(
    station: Profile, tmp_path: Path, text: str, said: str
) -> None:
    """The error names file, line and reason, before the device is asked anything."""
    path = tmp_path / "lab.csv"
    path.write_text(text)
    settings = CheckSettings(station, "tcp://127.0.0.1:1", 1, reference=TableReference(path))
    with pytest.raises(CheckError) as raised:
        Bench(settings)
    assert str(path) in str(raised.value)
    assert said in str(raised.value)


def test_an_overload_and_an_exact_instrument_are_unknown(station: Profile, tmp_path: Path) -> None:
    """Infinity is no power, and a reference without uncertainty does not exist."""
    path = tmp_path / "lab.csv"
    path.write_text("time,power.active,power.active.uncertainty\n1,inf,5\n2,50000,0\n3,50000,5\n")
    power = TableReference(path).series(station, {})["power.active"]
    np.testing.assert_array_equal(power.value, [np.nan, 50e3, 50e3])
    np.testing.assert_array_equal(power.uncertainty, [5.0, np.nan, 5.0])


def test_gauge_is_not_compared_with_absolute(station: Profile) -> None:
    """They differ by the air's pressure, which is no error of the device."""
    loop = replace(station.points["pressure.loop"], reference="gauge")
    gauge = replace(station, points={"pressure.loop": loop})
    with pytest.raises(CheckError, match=r"in bar absolute, pressure\.loop of .* in bar gauge"):
        Bench(CheckSettings(station, "tcp://127.0.0.1:1", 1,
                            reference=DeviceReference(gauge, "tcp://127.0.0.1:2", 1)))  # fmt: skip


def test_two_meters_of_one_line_are_not_one_device() -> None:
    """An M-Bus address and a chip's name tell them apart, a rate does not."""
    meter = load_profile("en13757.heat_meter")
    line = "mbus+tcp://127.0.0.1:1000?address="
    for other, same in (("2", False), ("1", True)):
        reference = DeviceReference(meter, f"{line}{other}", 1)
        settings = CheckSettings(meter, f"{line}1", 1, reference=reference)
        if same:
            with pytest.raises(CheckError, match="never its own reference"):
                Bench(settings)
        else:
            Bench(settings)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_device_is_never_its_own_reference(station: Profile, host: str) -> None:
    """The same place and unit is refused, under another name of the host too."""
    reference = DeviceReference(station, f"tcp://{host}:5020", 1)
    settings = CheckSettings(station, "tcp://127.0.0.1:5020", 1, reference=reference)
    with pytest.raises(CheckError, match="never its own reference"):
        Bench(settings)
    Bench(CheckSettings(station, "tcp://127.0.0.1:5020", 2, reference=reference))


@pytest.mark.parametrize(
    ("pairs", "quantities", "said"),
    [
        ({"flow": "x"}, {}, "no point 'flow'"),
        ({}, {"flow.loop": "speed"}, "no quantity 'speed'"),
        ({}, {"flow.loop": "power"}, "flow.loop is in L/min, power in W"),
        ({"flow.loop": "pressure.loop"}, {}, "flow.loop is in L/min, pressure.loop"),
        ({"flow.loop": "x"}, {}, "no point 'x' to pair"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    station: Profile, pairs: dict[str, str], quantities: dict[str, str], said: str
) -> None:
    """Unknown points and quantities, and units that do not go together, are clear errors."""
    reference = DeviceReference(station, "tcp://127.0.0.1:5021", 1)
    settings = CheckSettings(station, "tcp://127.0.0.1:5020", 1, 2.0, reference, pairs, quantities)
    with pytest.raises(CheckError, match=said):
        Bench(settings)
