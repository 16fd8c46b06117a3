"""Files written by hand: what is odd in them is named with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from bmc_ext.errors import ConfigurationError
from bmc_ext.yaml_file import read_yaml

BOMB = "a0: &a0 [x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: 1\nb: 2\na: 3\n", ":3: not YAML: 'a' is given twice"),
        ("- {gain: 1.0, gain: 2.0}\n", ":1: not YAML: 'gain' is given twice"),
        (BOMB, ": not YAML: its aliases make it too large"),
        ("a:\n  b: &b [1, *b]\n", ":2: not YAML: a part of it holds itself"),
        ("[" * 5000 + "]" * 5000, ": not YAML: nested too deeply"),
        ("a: 1\n---\na: 2\n", ":2: not YAML: but found another document"),
        ("a: 2026-02-30\n", ": not YAML: day is out of range for month"),
        ("a: \x00\n", ": not YAML: unacceptable character"),
        ("a: !!python/name:os.system\n", ":1: not YAML: could not determine a constructor"),
    ],
)  # fmt: skip
def test_a_fault_is_one_line_with_file_and_place(tmp_path: Path, text: str, reason: str) -> None:
    """Nothing is dropped in silence, and no file takes the reader's time or stack."""
    path = tmp_path / "hand.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as raised:
        read_yaml(path)
    said = str(raised.value)
    assert said.startswith(str(path))
    assert reason in said
    assert "\n" not in said


def test_aliases_and_merged_keys_stand_for_what_they_name(tmp_path: Path) -> None:
    """A key beside merged ones replaces theirs and is given once."""
    path = tmp_path / "hand.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\nc: [*a, *a]\n", encoding="utf-8")
    plain = {"x": 1, "y": 2}
    assert read_yaml(path) == {"a": plain, "b": {"x": 3, "y": 2}, "c": [plain, plain]}


def test_a_date_is_text(tmp_path: Path) -> None:
    """YAML's own dates are the text that a schema's format looks at, at any depth."""
    path = tmp_path / "x.yaml"
    path.write_text("a: {calibrated_on: 2026-03-01}\nb: [2026-03-02]\n", encoding="utf-8")
    assert read_yaml(path) == {"a": {"calibrated_on": "2026-03-01"}, "b": ["2026-03-02"]}
