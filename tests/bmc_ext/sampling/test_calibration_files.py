"""Calibration files: what they must say, and how their mistakes are named."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

import schemas
from bmc_ext.errors import ConfigurationError
from bmc_ext.sampling.calibration_files import load_calibration, load_calibrations

GOOD: dict[str, Any] = {
    "sensor": "m/power.active.total",
    "unit": "W",
    "certificate": "C-1",
    "calibrated_on": date(2026, 3, 2),
    "ranges": [{"from": 0, "to": 1000, "uncertainty": {"pct_reading": 0.1}}],
}
TEMPERATURE = {"reference_c": 23, "unknown": {"pct_reading": 0.1}}


def written(folder: Path, document: dict[str, Any], name: str = "c.yaml") -> Path:
    """The document as a file."""
    path = folder / name
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    return path


def spans(*pairs: tuple[float, float]) -> list[dict[str, Any]]:
    """Ranges with these limits."""
    return [{"from": low, "to": high, "uncertainty": {"abs": 1}} for low, high in pairs]


@pytest.mark.parametrize(
    ("unit", "due"),
    [
        ("W", date(2027, 3, 2)), ("A", date(2027, 3, 2)), ("L/min", date(2027, 3, 2)),
        ("bar", date(2027, 3, 2)), ("Cel", date(2026, 9, 2)),
    ],
)  # fmt: skip
def test_the_due_date_is_that_of_table_2_unless_given(tmp_path: Path, unit: str, due: date) -> None:
    """12 months for power, flow and pressure, 6 for temperature (DCPI 5.2.3)."""
    assert load_calibration(written(tmp_path, GOOD | {"unit": unit})).due == due
    own = GOOD | {"unit": unit, "due": "2026-04-01"}
    assert load_calibration(written(tmp_path, own)).due == date(2026, 4, 1)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"sensor": "m"}, "sensor"),
        ({"certificate": ""}, "certificate"),
        ({"calibrated_on": "2026-13-01"}, "calibrated_on"),
        ({"calibrated_on": "last spring"}, "calibrated_on"),
        ({"due": "2026-03-01"}, "due: 2026-03-01 is before"),
        ({"unit": "Hz"}, "due: is needed"),
        ({"colour": "red"}, "colour"),
        ({"ranges": []}, "ranges"),
        ({"ranges": [{"from": 0, "to": 1}]}, "ranges/0: 'uncertainty'"),
        ({"ranges": spans((5, 5))}, "ranges/0: from 5 is not below"),
        ({"ranges": spans((0, 10), (11, 20))}, "ranges/1: leaves a gap"),
        ({"ranges": spans((5, 10), (0, 20))}, "ranges/1: does not go beyond"),
        ({"ranges": [GOOD["ranges"][0] | {"gain": 0}]}, "ranges/0/gain"),
        ({"ranges": [GOOD["ranges"][0] | {"gain": "1e-3"}]}, "write 1.0e-6"),
        ({"ranges": [GOOD["ranges"][0] | {"phase_rad": 0.6}]}, "ranges/0/phase_rad"),
        ({"ranges": [GOOD["ranges"][0] | {"delay_s": 1}]}, "ranges/0/delay_s"),
        ({"temperature": {"reference_c": 23}}, "temperature: 'unknown'"),
        ({"temperature": TEMPERATURE | {"gain_per_k": 0.1}}, "temperature/gain_per_k"),
        ({"temperature": TEMPERATURE | {"point": "nowhere"}}, "temperature/point"),
        ({"ranges": [GOOD["ranges"][0] | {"gain": math.nan}]}, "ranges/0/gain: nan is no finite"),
        ({"ranges": [GOOD["ranges"][0] | {"offset": -math.inf}]}, "ranges/0/offset: -inf"),
        ({"ranges": [GOOD["ranges"][0] | {"from": 10**400}]}, "ranges/0/from: 1000000"),
        (
            {"temperature": TEMPERATURE | {"offset_per_k": 1e308}},
            "temperature/offset_per_k: 1e+308",
        ),
        ({"certificate": "C-1\x1b[31m"}, "certificate"),
        ({"certificate": "C-1\n"}, "certificate"),
        ({"certificate": "  "}, "certificate"),
        ({"sensor": "m/power\n"}, "sensor"),
    ],
)
def test_mistakes_name_file_place_and_reason(
    tmp_path: Path, change: dict[str, Any], named: str
) -> None:
    """Each mistake ends in one ConfigurationError."""
    path = written(tmp_path, GOOD | change)
    with pytest.raises(ConfigurationError) as raised:
        load_calibration(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert named in str(raised.value)


@pytest.mark.parametrize(
    "text", ["[", "", "\x00", "just text", "2026-02-30: {a: 2026-02-30}", "ranges: &a [*a]"]
)
def test_a_file_that_is_no_certificate_is_named(tmp_path: Path, text: str) -> None:
    """Whatever it holds."""
    path = tmp_path / "odd.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"odd\.yaml"):
        load_calibration(path)


def test_a_sensor_has_one_certificate(tmp_path: Path) -> None:
    """Two files for one sensor are told with both names."""
    written(tmp_path, GOOD, "first.yaml")
    written(tmp_path, GOOD | {"certificate": "C-2"}, "second.yaml")
    with pytest.raises(ConfigurationError, match=r"second\.yaml: sensor: .* in first\.yaml"):
        load_calibrations(tmp_path)
    with pytest.raises(ConfigurationError, match="is no folder"):
        load_calibrations(tmp_path / "nowhere")


def test_only_yaml_files_are_certificates(tmp_path: Path) -> None:
    """A laboratory's PDF beside them harms nothing."""
    written(tmp_path, GOOD)
    (tmp_path / "certificate.pdf").write_bytes(b"%PDF-1.7")
    assert list(load_calibrations(tmp_path)) == ["m/power.active.total"]


def test_the_published_example_is_one(tmp_path: Path) -> None:
    """The example loads as it is and has what it shows."""
    path = tmp_path / "example.yaml"
    path.write_text(schemas.path("config/calibration.example.yaml").read_text("utf-8"), "utf-8")
    known = load_calibration(path)
    assert known.sensor == "feed-1/IA"
    assert known.due == date(2027, 3, 2)
    assert known.ranges[1].phase_rad == 0.0012
    assert known.temperature is not None
    assert known.temperature.gain_per_k == 2e-5


def test_every_yaml_file_counts_and_none_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """`.yml` is YAML too; a folder without any certificate is no silent lack of calibration."""
    assert load_calibrations(tmp_path) == {}
    assert f"{tmp_path} holds no certificate" in caplog.text
    written(tmp_path, GOOD, "short.yml")
    assert set(load_calibrations(tmp_path)) == {"m/power.active.total"}


def test_a_due_date_beyond_table_2_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The laboratory's date holds, and the log tells that the standard asks for more."""
    path = written(tmp_path, GOOD | {"due": "2027-03-02"})
    load_calibration(path)
    assert caplog.text == ""
    path = written(tmp_path, GOOD | {"due": "2027-03-03"})
    assert load_calibration(path).due == date(2027, 3, 3)
    assert f"{path}: due: 2027-03-03 is later than 12 months" in caplog.text


@pytest.mark.parametrize(
    ("calibrated_on", "due"),
    [
        (date(2028, 2, 29), date(2029, 2, 28)),
        (date(2027, 2, 28), date(2028, 2, 28)),
        (date(9999, 12, 31), date(9999, 12, 31)),
    ],
)
def test_a_year_on_is_the_same_day_or_the_months_last(
    tmp_path: Path, calibrated_on: date, due: date
) -> None:
    """29 February has no next year, and the calendar an end."""
    path = written(tmp_path, GOOD | {"calibrated_on": calibrated_on})
    assert load_calibration(path).due == due
