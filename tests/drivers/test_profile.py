"""Profiles: what is wrong in one is said with file, line and reason."""

from __future__ import annotations

import os
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from drivers.errors import ProfileError
from drivers.profile import WriteRule, list_profiles, load_profile
from drivers.reading import Quality
from drivers.register_image import golden_values

_GOOD = """\
profile: device-profile/1
id: acme.meter
vendor: ACME
model: M1
kind: PowerMeter
sources: [{ref: data sheet, verified: restated}]
transport: {modes: [tcp], max_regs: 10}
defaults: {fc: 3, type: u16, group: fast}
groups:
  fast: {every_ms: 100, source_ms: 100, stale_after_ms: 500}
points:
  frequency: {addr: 1, unit: Hz, scale: 0.01, range: [40, 70]}
  set.point: {addr: 9, unit: "%", write: {range: [0, 100]}}
identify:
  - {point: frequency, in: [45, 65]}
sim:
  frequency: {wave: const, mean: 50}
checks:
  - {expr: frequency - 50, max: "0.1 * set_point + 1"}
"""

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a profile file."""

    def write_file(text: str) -> Path:
        path = tmp_path / "acme.yaml"
        path.write_text(text)
        return path

    return write_file


def test_a_file_is_loaded_with_its_defaults(write: Write) -> None:
    """Defaults fill in what a point does not say; a one-register write uses function 6."""
    profile = load_profile(write(_GOOD))
    point = profile.point("set.point")
    assert (point.fc, point.type, point.order, point.group) == (3, "u16", "ABCD", "fast")
    assert point.write is not None
    assert (point.write.low, point.write.high, point.write.fc) == (0.0, 100.0, 6)
    assert profile.transport.timeout_s == 0.3
    assert profile.groups["fast"].serial_every_s == 0.1
    with pytest.raises(KeyError, match=r"acme\.meter has no point 'nonsense'"):
        profile.point("nonsense")


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("kind: PowerMeter", "kind: Toaster", 5, "'Toaster' is not one of"),
        ("vendor: ACME\n", "", 1, "'vendor' is a required property"),
        ("vendor: ACME", "vendor: ACME\nvendor: Other", 4, "'vendor' is given twice"),
        ("addr: 1,", "addr: 70000,", 12, "70000: 0 to 65535 on the wire; a manual's 40001"),
        ("addr: 1,", "addr: 40001.5,", 12, "40001.5: a whole number, 0 to 65535"),
        ("addr: 1,", "addr: 65535, type: f32,", 12, "ends after the last register"),
        ("unit: Hz", "unit: hertz", 12, "unknown unit 'hertz'"),
        ("unit: Hz", "unit: Hz, group: slow", 12, "no group 'slow'"),
        ("unit: Hz", "unit: Hz, type: f33", 12, "'f33' is not one of"),
        ("unit: Hz", "unit: Hz, colour: red", 12, "no member 'colour' here; there are: at, addr"),
        (
            "unit: Hz",
            "unit: Hz, rnage: [1, 2]",
            12,
            "no member 'rnage' here (did you mean 'range'?)",
        ),
        ("unit: Hz", "unit: Hz, accuracy: {}", 12, "should be non-empty"),
        ("unit: Hz", "unit: Hz, type: f32, mask: 255", 12, "a mask needs one of u16, bits"),
        ("range: [40, 70]", "range: [70, 40]", 12, "the lower bound is not below the upper"),
        ("range: [40, 70]", "accuracy: {pct_range: 1}", 12, "pct_range needs a range"),
        ("scale: 0.01", "scale: 3.6e6", 12, "is text, not a number"),
        ("scale: 0.01", "scale: 0", 12, "0: a scale of 0 makes every value 0"),
        ('"%", write', '"%", fc: 4, write', 13, "only holding registers"),
        ("write: {range: [0, 100]}", "type: f32, write: {range: [0, 1], fc: 6}", 13, "needs fc 16"),
        (
            "write: {range: [0, 100]}",
            "write: {range: [1, 0]}",
            13,
            "lower bound is above the upper",
        ),
        ("defaults: {fc: 3,", "defaults: {", 12, "'fc' is given neither here nor in defaults"),
        ("{point: frequency,", "{point: voltage,", 15, "no point 'voltage'"),
        ("  frequency: {wave", "  voltage: {wave", 17, "no point 'voltage'"),
        ("{wave: const, mean: 50}", "{follow: speed}", 17, "no point 'speed'"),
        ("{wave: const, mean: 50}", "{wave: const}", 17, "say one of: wave with mean"),
        ("frequency - 50", "frequency - fifty", 19, "no point 'fifty'"),
        ("frequency - 50", "__import__('os')", 19, "is not understood"),
        ("0.1 * set_point", "2 ** set_point", 19, "'2 ** set_point' is not understood"),
        ("max_regs: 10", "max_regs: 1", 13, "longer than transport/max_regs"),
        ("modes: [tcp]", "modes: []", 7, "should be non-empty"),
        (
            "modes: [tcp]",
            "addr_base: 1, modes: [tcp]",
            7,
            "1: addresses are those on the wire, from 0",
        ),
        ("vendor: ACME", "vendor: &v ACME\ndescription: *v", 4, "aliases are refused"),
        ("range: [40, 70]", "range: [40, 70], scale_by: exponent", 12, "no point 'exponent'"),
        (
            "range: [40, 70]",
            "range: [40, 70], scale_by: set.point",
            12,
            "not read in the same requ",
        ),
        ("range: [40, 70]", "range: [40, 70], factor_by: frequency", 12, "itself made of other"),
        ('unit: "%", write', 'unit: "%", factor_by: frequency, write', 13, "not read in the same"),
        ('unit: "%", write', 'unit: "%", mask: 255, write', 13, "without its other bits"),
        ("unit: Hz", "unit: kPa", 12, "a pressure says its reference"),
        ("unit: Hz", "unit: Hz, reference: gauge", 12, "Hz is no pressure"),
        ("unit: Hz", "unit: Hz, fc: 1", 12, "functions 1 and 2 read a bool"),
        ("unit: Hz", "unit: Hz, type: bool", 12, "functions 1 and 2 read a bool"),
        ("unit: Hz", "unit: Hz, mask: 65536", 12, "has bits that a u16 has not"),
        ("unit: Hz", "unit: Hz, max_rate: 0", 12, "less than or equal to the minimum of 0"),
        ("unit: Hz", "unit: Hz, stuck_after_ms: 1", 12, "less than the minimum of 100"),
        (
            "unit: Hz",
            "unit: Hz, dcpi: power/history/frequency_hz",
            12,
            "power/realtime, thermal/status",
        ),
        ("addr: 1,", "addr: 8.0,", 12, "8.0: a whole number"),
        ("vendor: ACME", "vendor: A\x04", 3, "not YAML: unacceptable character #x0004"),
        ("range: [40, 70]", "range: 70", 12, "70: two numbers: [lower, upper]"),
        ("id: acme.meter", "id: Acme", 2, "'Acme': lower case, digits"),
        ("id: acme.meter", 'id: "acme.meter\\n"', 2, "lower case, digits"),
        ("  set.point:", "  set point:", 13, "'set point': a point's name is"),
        ("device-profile/1", "device-profile/2", 1, "this program reads device-profile/1"),
        ("in: [45, 65]}", "in: [45, 65], addr: 3}", 15, "the point has an address already"),
        ("[0, 100]}", "[0, 100], min_interval_ms: -1}", 13, "less than the minimum of 0"),
        ("  set.point:", "  set_point:\n  set.point:", 13, "None is not of type 'object'"),
        (
            "  set.point:",
            "  set_point: {addr: 3, unit: V}\n  set.point:",
            14,
            "reads like set_point",
        ),
        ("max_regs: 10", "max_regs: {fc3: 1, fc4: 500}", 7, "500 is greater than the maximum"),
        ("verified: restated", "verified: manual", 6, "give golden vectors from outside"),
        ("in: [45, 65]}", "text: ACME}", 15, "'addr' is a required property"),
        (
            "checks:",
            "golden: [{read: {fc: 3, addr: 2, regs: [1]}, expect: {frequency: 1}}]\nchecks:",
            18,
            "the registers of frequency are not among",
        ),
        ("scale: 0.01", "scale: .inf", 12, "no number to reckon with"),
        ("scale: 0.01", "offset: 1.0e+308", 12, "a number that no register holds"),
        ("scale: 0.01", "scale: 1" + ":1" * 100, 12, "so many digits"),
        ("vendor: ACME", 'vendor: "A\\e[2J"', 3, "U+001B does not belong"),
        ("vendor: ACME", "vendor: " + "A" * 5000, 3, "a text so long"),
        ("  frequency: {addr", "  1: {addr", 12, "a key must be a plain word"),
        ("vendor: ACME", "vendor: !!python/object/apply:os.getcwd []", 3, "not YAML"),
        ("vendor: ACME", "vendor: [ACME", 4, "not YAML"),
        ("addr: 1,", "addr: 0010,", 12, "0010 is read as base 8 or 60"),
        ("addr: 1,", "addr: 1:30,", 12, "1:30 is read as base 8 or 60"),
        ("unit: Hz", "unit: Hz, mask: 0x0505", 12, "0x505 is not one row of bits"),
        ("unit: Hz", "unit: Hz, absent: 1.5", 12, "1.5 is no raw number of it"),
        ("unit: Hz", "unit: Hz, absent: 65536", 12, "65536 is no raw number of it"),
        ("unit: Hz", "unit: Hz, mask: 0x0F00, absent: 0xF00", 12, "whole, 0 to 15, unscaled"),
        ("unit: Hz", "unit: Hz, absent: none", 12, "'none': a raw number, nan, or a list of them"),
        ("unit: Hz", "unit: Hz, write: {range: [0, 50]}", 12, "wider than the point's"),
        ("addr: 9,", "addr: 2, fraction: frequency,", 13, "its unit is"),
        ("in: [45, 65]", "in: [65, 45]", 15, "the lower bound is above the upper"),
        ("max_regs: 10", "framing: 7E1", 7, "Modbus RTU sends 8 data bits"),
        ("kind: PowerMeter", "kind: PowerMeter\nprotocol: modbus-tcp", 14, "leave 'protocol' out"),
        ("vendor: ACME", "[vendor]: ACME", 3, "a key must be a plain word"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(
    write: Write, old: str, new: str, line: int, reason: str
) -> None:
    """Each fault is one ProfileError that names the file, the line and the reason."""
    text = _GOOD.replace(old, new, 1)
    if "max_regs: 1}" in text:
        text = text.replace('unit: "%",', 'unit: "%", type: u32,')
    assert text != _GOOD
    path = write(text)
    with pytest.raises(ProfileError) as caught:
        load_profile(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:{line}: "), message
    assert reason in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "None is not of type 'object'"),
        (b"- 1\n", "is not of type 'object'"),
        (b"\xff\xfe", "not UTF-8 text"),
        (b"[" * 1_000, "nested deeper than 20 levels"),
        (b"[" * 100_000, "nested deeper|nesting depth"),  # libyaml may be the first to refuse
        (b"vendor: 9999-99-99", "not a profile"),
        (b"#" * 1_100_000, "larger than 1000000 bytes"),
        (b"a: [" + b"{}," * 300_000 + b"]", "more than 20000 values"),
        (b"a: " + b"1:" * 400_000 + b"1", "so many digits"),
        (b"a: 0x" + b"F" * 900_000, "so many digits"),
    ],
)
def test_what_is_no_profile_at_all_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    """Empty, binary, enormous or bottomless files are refused like any other fault."""
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    with pytest.raises(ProfileError, match=reason) as caught:
        load_profile(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A missing file and a missing folder are named."""
    with pytest.raises(ProfileError, match=r"none\.yaml: No such file"):
        load_profile(tmp_path / "none.yaml")
    with pytest.raises(ProfileError, match="no such folder of device profiles"):
        list_profiles([tmp_path / "nowhere"])


def test_what_is_no_file_is_never_waited_for(tmp_path: Path) -> None:
    """A pipe or a device that is named like a profile neither blocks nor fills the memory."""
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    (tmp_path / "folder.yaml").mkdir()
    assert "eastron.sdm630" in [profile.id for profile in list_profiles([tmp_path])]
    for name in ("pipe", "zero", "folder"):
        with pytest.raises(ProfileError, match="not a file"):
            load_profile(tmp_path / f"{name}.yaml")


def test_a_hostile_file_is_refused_in_bounded_time_and_memory(tmp_path: Path) -> None:
    """The worst file that is let through to the schema costs seconds and some megabytes."""
    path = tmp_path / "bad.yaml"
    path.write_text("golden:\n" + "- {}\n" * 6_600)
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(ProfileError):
        load_profile(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert time.process_time() - began < 30.0
    assert peak < 100e6


def test_a_manuals_facts_need_a_vector_with_its_origin_and_maker(write: Write) -> None:
    """From the evidence level manual up, a golden vector says who made it and where it stands."""
    text = _GOOD.replace("verified: restated", "verified: manual")
    vector = "{read: {fc: 3, addr: 1, regs: [5000]}, expect: {frequency: 50}"
    for members in ("", ", origin: page 3", ", made_by: manual"):
        with pytest.raises(ProfileError, match="say where the vector comes from"):
            load_profile(write(f"{text}golden:\n  - {vector}{members}}}\n"))
    profile = load_profile(
        write(f"{text}golden:\n  - {vector}, origin: page 3, made_by: manual}}\n")
    )
    assert profile.evidence == "manual"
    assert golden_values(profile, profile.golden[0]) == {"frequency": (50.0, Quality.OK)}


def test_members_of_the_engine_are_loaded(write: Write) -> None:
    """Limits by function, rates, stuck times and the least time between writes, in s and units."""
    text = _GOOD.replace("max_regs: 10", "max_regs: {fc3: 60, fc4: 11}")
    text = text.replace("range: [40, 70]", "range: [40, 70], max_rate: 2, stuck_after_ms: 60000")
    text = text.replace("[0, 100]}", "[0, 100], min_interval_ms: 500}")
    text = text.replace("{point: frequency, in: [45, 65]}", "{text: ACME, addr: 20, fc: 4}")
    profile = load_profile(write(text))
    frequency = profile.point("frequency")
    assert (frequency.max_rate, frequency.stuck_after_s) == (2.0, 60.0)
    assert profile.point("set.point").write == WriteRule(0.0, 100.0, 6, 0.5)
    assert [profile.transport.limit(fc) for fc in (3, 4)] == [60, 11]
    text_condition = profile.identify_texts[0]
    assert (text_condition.address, text_condition.fc) == (20, 4)
    assert text_condition.registers == (0x4143, 0x4D45)
    assert text_condition.holds([0x4143, 0x4D45, 0x2020])
    assert not text_condition.holds([0x4341, 0x454D])


@pytest.mark.parametrize(
    ("members", "register", "value"),
    [
        ("mask: 0x00F0, absent: 0xF", 0x12F3, None),
        ("mask: 0x00F0, absent: 0xF", 0x0F1F, 1.0),
        ("type: i8, absent: -128", 0x1280, None),
        ("type: i8, absent: -128", 0x127F, 127.0),
        ("type: i16, absent: 0x8000", 0x8000, None),
        ("type: i16, absent: -1", 0xFFFF, None),
    ],
)
def test_the_sentinel_of_a_field_is_found_whatever_stands_beside_it(
    write: Write, members: str, register: int, value: float | None
) -> None:
    """A nibble's or a low byte's sign for no value does not depend on the register's other bits."""
    golden = f"golden: [{{read: {{fc: 3, addr: 20, regs: [{register}]}}, expect: {{field: 0}}}}]\n"
    point = f'  field: {{addr: 20, unit: "1", {members}}}\n'
    profile = load_profile(write(_GOOD.replace("identify:", f"{point}identify:") + golden))
    quality = Quality.ABSENT if value is None else Quality.OK
    assert golden_values(profile, profile.golden[0])["field"] == (value, quality)


def test_an_unknown_id_lists_the_known_ones() -> None:
    """Who mistypes an id is told which there are."""
    with pytest.raises(
        ProfileError, match=r"no device profile 'eastron\.sdm63'; there are: .*sdm630"
    ):
        load_profile("eastron.sdm63")


def test_a_configured_folder_comes_first(write: Write) -> None:
    """A vendor's own profile is found by id and replaces a shipped one of the same id."""
    path = write(_GOOD)
    assert load_profile("acme.meter", [path.parent]).path == path
    write(_GOOD.replace("acme.meter", "keller.33x"))
    assert load_profile("keller.33x", [path.parent]).vendor == "ACME"
    vendors = {profile.id: profile.vendor for profile in list_profiles([path.parent])}
    assert vendors["keller.33x"] == "ACME"


def test_an_edited_file_is_read_anew(write: Write) -> None:
    """The cache never shows yesterday's file."""
    path = write(_GOOD)
    assert load_profile(path).model == "M1"
    write(_GOOD.replace("M1", "M2"))
    assert load_profile(path).model == "M2"


def test_the_example_of_the_format_loads(shared: Path) -> None:
    """The published example profile is accepted as it stands."""
    profile = load_profile(shared / "facts" / "example-device-profile.yaml")
    assert profile.id == "eastron.sdm630"
    assert profile.golden[0].expect == {"power.total": 12345.5}
