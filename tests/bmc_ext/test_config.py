"""The configuration file: what it must say, and how its mistakes are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from bmc_ext.config import PointRef, load_config, parse_config
from bmc_ext.errors import ConfigurationError

GOOD = {
    "facility": {"id": "site", "rated_power_w": 2e6},
    "state_dir": "state",
    "devices": [{"id": "d", "profile": "keller.33x", "target": "tcp://127.0.0.1:502"}],
    "feeds": [{"id": "f", "rated_power_w": 1e6, "meter": "d"}],
    "loops": [{"id": "l", "return": "d/temperature.TOB1"}],
}
COMTRADE = {"type": "comtrade", "path": "recording.cfg"}


def feed(**source: object) -> dict[str, object]:
    """The part of a configuration that names one feed with these sources."""
    return {"feeds": [{"id": "f", "rated_power_w": 1e6, **source}]}


def test_defaults_and_relative_paths(tmp_path: Path) -> None:
    """What is left out has its default, and paths are relative to the file."""
    config = parse_config(GOOD, base=tmp_path)
    assert config.facility.contract_limit_w == 2e6
    assert config.facility.name == "site"
    assert config.control == "observe"
    assert config.listen.host == "127.0.0.1"
    assert config.state_dir == tmp_path / "state"
    assert config.loops[0].return_ == PointRef("d", "temperature.TOB1")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"facility": {"id": "site"}}, "facility: 'rated_power_w'"),
        ({"control": "maybe"}, "control"),
        ({"devices": [], "loops": []}, "feeds/f: no device 'd'"),
        ({"feeds": []} | {"devices": []}, "loops/l: no device 'd'"),
        ({"feeds": [GOOD["feeds"][0]] * 2}, "feeds: id 'f' is given twice"),
        (feed(), "feeds/0: one of waveform and meter is needed, and only one"),
        (feed(meter="d", waveform=COMTRADE), "feeds/0: one of waveform and meter is needed"),
        (feed(waveform={"type": "stream"}), "feeds/0/waveform: 'port' is a required property"),
        (feed(waveform=COMTRADE | {"path": 7}), "feeds/0/waveform/path: 7 is not"),
        (feed(waveform={"type": "pcap"}), "feeds/0/waveform: type 'pcap' is none of"),
        (feed(waveform={"port": 1}), "feeds/0/waveform: 'type' is a required property"),
        ({"listen": {"certificate": "x.pem"}}, "listen"),
        ({"loops": [{"id": "l", "rated_flow_lpm": 9000}]}, "loops/0/rated_flow_lpm"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, change: dict[str, object], named: str) -> None:
    """Each mistake ends in one ConfigurationError that names the place."""
    with pytest.raises(ConfigurationError, match=named.replace("(", r"\(")):
        parse_config(GOOD | change, base=tmp_path)


def test_a_device_may_have_a_timeout_of_its_own(tmp_path: Path) -> None:
    """It is 50 to 5000 ms; without one the profile's holds."""
    device = GOOD["devices"][0]
    slow = parse_config(GOOD | {"devices": [device | {"timeout_ms": 1500}]}, base=tmp_path)
    assert slow.devices[0].timeout_ms == 1500
    assert parse_config(GOOD, base=tmp_path).devices[0].timeout_ms is None
    for wrong in (49, 5001, "1 s"):
        with pytest.raises(ConfigurationError, match="devices/0/timeout_ms"):
            parse_config(GOOD | {"devices": [device | {"timeout_ms": wrong}]}, base=tmp_path)


@pytest.mark.parametrize("text", ["[", "\x00", "just text", "{a: 1, a: 2}"])
def test_a_file_that_is_no_configuration(tmp_path: Path, text: str) -> None:
    """Whatever the file holds, the error names the file."""
    file = tmp_path / "c.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"c\.yaml"):
        load_config(file)


def test_a_file_that_is_no_yaml_is_told_in_one_line(tmp_path: Path) -> None:
    """The error names the line and stays one line, whatever the parser says."""
    path = tmp_path / "service.yaml"
    for text in ("facility: {id: a\nfeeds: [", "a: \x07", "a: b: c"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ConfigurationError, match="not YAML") as caught:
            load_config(path)
        assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{path}:1: ")
