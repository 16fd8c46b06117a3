"""The configuration file: what it must say, and how its mistakes are named."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
import yaml

import schemas
from bmc_ext.clock import SystemClock
from bmc_ext.config import load_config, parse_config
from bmc_ext.equipment import PointRef
from bmc_ext.errors import ConfigurationError
from bmc_ext.measuring import instruments_of
from bmc_ext.settings import WaveformConfig
from drivers.waveforms.sampled_values import SampledValues

GOOD = {
    "facility": {"id": "site", "rated_power_w": 2e6},
    "state_dir": "state",
    "devices": [{"id": "d", "profile": "keller.33x", "target": "tcp://127.0.0.1:502"}],
    "feeds": [{"id": "f", "rated_power_w": 1e6, "meter": "d"}],
    "loops": [{"id": "l", "return": "d/temperature.TOB1"}],
}
OUTLET = {"id": "1", "branch": "A"}
COMTRADE = {"type": "comtrade", "path": "recording.cfg"}


def feed(**source: object) -> dict[str, object]:
    """The part of a configuration that names one feed with these sources."""
    return {"feeds": [{"id": "f", "rated_power_w": 1e6} | source]}


def pdu(**members: object) -> dict[str, object]:
    """The part of a configuration that names one rack PDU, with these members."""
    return {
        "rack_pdus": [{"id": "p", "branches": [{"id": "A"}], "outlets": [OUTLET]} | members],
    }


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
        (
            feed(members=[{"meter": "d"}, {"waveform": COMTRADE}]),
            "feeds/0/members/1: 'id' is a dependency of 'waveform'",
        ),
        (feed(members=[{"id": "x"}, {"meter": "d"}]), "feeds/0/members/0: one of waveform and"),
        (feed(meter="d", agree_within={"percent": 1}), "feeds/0: 'members' is a dependency"),
        ({"loops": [{"id": "l", "flow": ["d/a"]}]}, "loops/0/flow: "),
        ({"loops": [{"id": "l", "flow": ["d/a", "e/b"]}]}, "loops/l: no device 'e'"),
        (feed(), "feeds/0: one of waveform, meter and members is needed, and only one"),
        (pdu(outlets=[]), "rack_pdus/0/outlets"),
        (pdu(outlets=[{"id": "1", "branch": "B"}]), "rack_pdus/p/outlets/1: no branch 'B'"),
        (pdu(outlets=[OUTLET, OUTLET]), "rack_pdus/p/outlets: id '1' is given twice"),
        (pdu(branches=[{"id": "A"}] * 2), "rack_pdus/p/branches: id 'A' is given twice"),
        (pdu(id="f"), "rack_pdus: id 'f' is given twice"),
        (pdu(id="DCPI"), "rack_pdus: id 'DCPI' is given twice"),
        (pdu(outlets=[OUTLET | {"switch": "e/b"}]), "rack_pdus/p: no device 'e'"),
        (pdu(mains={"plug": "any"}), "rack_pdus/0/mains/plug"),
        (
            feed(meter="d", waveform=COMTRADE),
            "feeds/0: one of waveform, meter and members is needed",
        ),
        (feed(waveform={"type": "stream"}), "feeds/0/waveform: 'port' is a required property"),
        (feed(waveform=COMTRADE | {"path": 7}), "feeds/0/waveform/path: a text is wanted, not 7"),
        (feed(waveform={"type": "pcap"}), "feeds/0/waveform: type 'pcap' is none of"),
        (feed(waveform={"port": 1}), "feeds/0/waveform: 'type' is a required property"),
        ({"listen": {"certificate": "x.pem"}}, "listen"),
        ({"loops": [{"id": "l", "rated_flow_lpm": 9000}]}, "loops/0/rated_flow_lpm"),
        ({"surprise": 1}, "surprise"),
        (feed(meter="d", rated_power_w=float("nan")), "feeds/0/rated_power_w: not a finite"),
        (feed(meter="d", nominal_hz=float("inf")), "feeds/0/nominal_hz: "),
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


FRAMES = {
    "type": "frames", "path": "fifo", "format": "be:s24/32>>4", "order": ["IA", "VA", "-"],
    "rate_hz": 8000, "gains": {"VA": 1e-4, "IA": 1e-5},
}  # fmt: skip
IIO = {"type": "iio", "path": "/sys/device", "data": "fifo", "channels": {"VA": "v0", "IA": "i0"}}


def with_waveform(waveform: dict[str, object]) -> dict[str, object]:
    """A configuration whose one feed is measured by this source."""
    feed = {"id": "f", "rated_power_w": 1e6, "waveform": waveform}
    return GOOD | {"feeds": [feed]}


def test_sources_of_waveforms_are_read(tmp_path: Path) -> None:
    """Each kind, with paths relative to the file; `comtrade` is another name of `recording`."""
    for kind in ("recording", "comtrade"):
        document = with_waveform({"type": kind, "path": "r.csv", "rate_hz": 50, "decimal": ","})
        waveform = parse_config(document, base=tmp_path).feeds[0].waveform
        assert waveform is not None
        assert (waveform.path, waveform.rate_hz, waveform.loop) == (tmp_path / "r.csv", 50, True)
    waveform = parse_config(with_waveform(IIO), base=tmp_path).feeds[0].waveform
    assert waveform is not None
    assert (waveform.path, waveform.data) == (Path("/sys/device"), tmp_path / "fifo")
    waveform = parse_config(with_waveform(FRAMES), base=tmp_path).feeds[0].waveform
    assert waveform is not None
    assert waveform.order == ("IA", "VA", "-")


@pytest.mark.parametrize(
    ("waveform", "named"),
    [
        ({"type": "tape"}, "feeds/0/waveform"),
        ({"type": "stream"}, "feeds/0/waveform: 'port' is a required property"),
        ({"type": "iio", "path": "x"}, "feeds/0/waveform: 'channels' is a required property"),
        (IIO | {"channels": {"VN": "a", "IA": "b"}}, "feeds/0/waveform/channels: 'VN'"),
        (IIO | {"rate_hz": 0}, "feeds/0/waveform/rate_hz: 0 is less than"),
        (FRAMES | {"order": ["X", "Y"]}, "feeds/0/waveform/order/0: 'X'"),
        (FRAMES | {"samples_per_cycle": 128}, "feeds/0/waveform: .*'samples_per_cycle' was"),
        ({"type": "recording", "path": "x", "decimal": "'"}, "feeds/0/waveform/decimal"),
    ],
)
def test_a_mistake_in_a_source_is_named(
    tmp_path: Path, waveform: dict[str, object], named: str
) -> None:
    """The fault is that of the kind that was meant, not that it is no other kind."""
    with pytest.raises(ConfigurationError, match=named):
        parse_config(with_waveform(waveform), base=tmp_path)


def test_the_commented_sources_of_the_example_are_good(tmp_path: Path) -> None:
    """What stands in comments can be taken as it is."""
    text = schemas.path("config/example.yaml").read_text(encoding="utf-8")
    lines = text[text.index("waveform: {type: recording") :].splitlines()
    found: list[list[str]] = []
    for line in lines[1:]:
        if not line.startswith("    #"):
            break
        content = line[6:]
        if content.startswith("waveform:"):
            found.append([])
        found[-1].append(content)
    kinds = []
    for part in found:
        document = with_waveform(yaml.safe_load("\n".join(part))["waveform"])
        waveform = parse_config(document, base=tmp_path).feeds[0].waveform
        assert waveform is not None
        kinds.append(waveform.type)
    assert kinds == ["stream", "recording", "iio", "frames", "sampled_values"]


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


def sampled_values(tmp_path: Path, **choice: object) -> WaveformConfig:
    """The waveform of a feed that is configured so."""
    waveform = {"type": "sampled_values", "interface": "eth1", **choice}
    feed = {"id": "f", "rated_power_w": 1e6, "waveform": waveform}
    (found,) = parse_config(GOOD | {"feeds": [feed]}, base=tmp_path).feeds
    assert found.waveform is not None
    return found.waveform


def test_sampled_values_are_chosen_and_scaled(tmp_path: Path) -> None:
    """Without a word the standard's scales and any stream; channels by number or name."""
    plain = sampled_values(tmp_path)
    assert (plain.type, plain.interface) == ("sampled_values", "eth1")
    assert plain.sampled_values == SampledValues()
    chosen = sampled_values(
        tmp_path, stream="MU01", appid=0x4000, source="02:00:00:00:00:01", vlan=5, rate_hz=4800,
        channels={"VA": 5, "IA": "Ia"}, current_scale_a=0.01, accept=["test", "simulated"],
    ).sampled_values  # fmt: skip
    assert chosen is not None
    assert chosen.channels == {"VA": "5", "IA": "Ia"}
    assert chosen.accept == ("test", "simulated")
    assert (chosen.stream, chosen.appid, chosen.vlan) == ("MU01", 0x4000, 5)
    for wrong in (
        {"accept": ["good"]}, {"rate_hz": 100}, {"source": "02:00"}, {"appid": 65536},
        {"channels": {"VN": 8}}, {"interface": ""}, {"host": "x"},
    ):  # fmt: skip
        with pytest.raises(ConfigurationError, match="feeds/0/waveform"):
            sampled_values(tmp_path, **wrong)


def test_a_date_on_a_nameplate_needs_no_quotes(tmp_path: Path) -> None:
    """YAML makes a date of it, and the nameplate shows it as it was written."""
    path = tmp_path / "service.yaml"
    plate = {"model": "C-1", "production_date": date(2025, 3, 31)}
    loop = {"id": "l", "cooling_unit": {"nameplate": plate}}
    path.write_text(yaml.safe_dump(GOOD | {"loops": [loop]}), encoding="utf-8")
    assert "production_date: 2025-03-31" in path.read_text(encoding="utf-8")
    found = load_config(path).loops[0].cooling_unit.nameplate
    assert found.production_date == "2025-03-31"


def test_the_examples_comments_are_configuration(tmp_path: Path) -> None:
    """What the example shows of equipment is accepted once its comment marks are taken away."""
    lines = schemas.path("config/example.yaml").read_text(encoding="utf-8").splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("# loops:"))
    shown = [line.removeprefix("#").removeprefix(" ") for line in lines[start:]]
    document = yaml.safe_load("\n".join(shown).replace("…", "x"))
    devices = sorted(set(re.findall(r"([a-z]+-[0-9]+)/", "\n".join(shown))))
    specs = [{**GOOD["devices"][0], "id": name} for name in devices]  # type: ignore[index,dict-item]
    text = yaml.safe_dump(GOOD | {"devices": [*GOOD["devices"], *specs]} | document)  # type: ignore[misc]
    (tmp_path / "service.yaml").write_text(text, encoding="utf-8")
    for name in ("bmc-ca.pem", "bmc.password", "op.password"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    config = load_config(tmp_path / "service.yaml")
    unit = config.loops[0].cooling_unit
    assert unit.primary.supply == PointRef("rtd-1", "temperature.ch2")
    assert unit.leak_detectors[0].wet == PointRef("leak-1", "alarm.leak")
    assert unit.filters[0].serviced_date == "2026-01-02"
    assert not config.power_equipment
    assert config.rack_pdus[0].outlets[0].switch == PointRef("pdu-1", "switch.outlet1")
    assert config.rack_pdus[0].mains.lines[0].current == PointRef("pdu-1", "current.L1")
    assert config.thresholds["Loop_loop-a_Flow"]["LowerCritical"] == 400
    assert config.upstream is not None
    assert config.upstream.account.username == "dcpi"


def test_a_folder_of_profiles_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    """A misspelt folder is told, not taken for an empty one."""
    config = parse_config(GOOD | {"profile_dirs": ["nowhere"]}, base=tmp_path)
    with pytest.raises(ConfigurationError, match=r"profile_dirs: .*nowhere is no folder"):
        instruments_of(config, SystemClock())
