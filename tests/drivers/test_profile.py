"""Profiles: what is wrong in one is said with file, line and reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from drivers.errors import ProfileError
from drivers.profile import list_profiles, load_profile

_GOOD = """\
profile: device-profile/1
id: acme.meter
vendor: ACME
model: M1
kind: PowerMeter
sources: [{ref: data sheet, verified: manual}]
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
        ("addr: 1,", "addr: 70000,", 12, "70000 is greater than the maximum of 65535"),
        ("addr: 1,", "addr: 40001.5,", 12, "is not of type 'integer'"),
        ("addr: 1,", "addr: 65535, type: f32,", 12, "ends after the last register"),
        ("unit: Hz", "unit: hertz", 12, "unknown unit 'hertz'"),
        ("unit: Hz", "unit: Hz, group: slow", 12, "no group 'slow'"),
        ("unit: Hz", "unit: Hz, type: f33", 12, "'f33' is not one of"),
        ("unit: Hz", "unit: Hz, colour: red", 12, "'colour' was unexpected"),
        ("unit: Hz", "unit: Hz, accuracy: {}", 12, "should be non-empty"),
        ("unit: Hz", "unit: Hz, type: f32, mask: 255", 12, "a mask needs a u16 or bits register"),
        ("range: [40, 70]", "range: [70, 40]", 12, "the lower bound is not below the upper"),
        ("range: [40, 70]", "accuracy: {pct_range: 1}", 12, "pct_range needs a range"),
        ("scale: 0.01", "scale: 3.6e6", 12, "is text, not a number"),
        ("scale: 0.01", "scale: 0", 12, "should not be valid"),
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
        ("{wave: const, mean: 50}", "{wave: const}", 17, "is not valid under any"),
        ("frequency - 50", "frequency - fifty", 19, "no point 'fifty'"),
        ("frequency - 50", "__import__('os')", 19, "is not understood"),
        ("0.1 * set_point", "2 ** set_point", 19, "'2 ** set_point' is not understood"),
        ("max_regs: 10", "max_regs: 1", 13, "longer than transport/max_regs"),
        ("modes: [tcp]", "modes: []", 7, "should be non-empty"),
        ("modes: [tcp]", "addr_base: 1, modes: [tcp]", 7, "0 was expected"),
        ("vendor: ACME", "vendor: &v ACME\ndescription: *v", 4, "aliases are refused"),
        ("vendor: ACME", "vendor: !!python/object/apply:os.getcwd []", 3, "not YAML"),
        ("vendor: ACME", "vendor: [ACME", 4, "not YAML"),
        ("vendor: ACME", "[vendor]: ACME", 3, ""),
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
