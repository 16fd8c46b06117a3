"""Damaged profiles: whatever a file says, it is loaded or refused in one line, and does nothing."""

from __future__ import annotations

import os
import random
import re
import time
from pathlib import Path

from drivers.errors import ProfileError
from drivers.profile import SHIPPED_DIRECTORY, load_profile
from drivers.simulation import SimulatedBehaviour, SimulatedDevice

_BLUEPRINT = (SHIPPED_DIRECTORY / "blueprint.yaml.txt").read_text("utf-8")

# What YAML, JSON Schema and Python each take for something else than the writer meant.
_ODD = [
    "0", "-1", "1e9", "65536", ".inf", ".nan", "null", "true", "[]", "{}", "''", "~", "2020-01-01",
    "!!binary AA==", "&a 1", "*a", "99999999999999999999", "0x10", "1_0", "-0.0", "8.0", "1:2",
    '"\\0"', "nan", "[1, 2]", "{a: b}", "i64", "f64", "bool", "dec64", "bcd16", "i8", "1.0e-30",
    "1.0e+30", "- 1", "? x", "<<: {}", "\U0001f642", "a.b.c", "[[[]]]", "addr", "scale_by",
    "fraction", "mask", "type", "range", "write",
]  # fmt: skip


def damaged(seed: int) -> str:
    """The blueprint with up to six values, keys, lines or characters that do not belong."""
    chance = random.Random(seed)
    text = _BLUEPRINT
    for _ in range(chance.choice([1, 1, 1, 2, 3, 6])):
        kind = chance.randrange(4)
        if kind < 2:
            pattern = r"(?<=[:\[,] )[^,\[\]{}\n]+" if kind == 0 else r"[\w.]+(?=:)"
            found = chance.choice(list(re.finditer(pattern, text)))
            text = text[: found.start()] + chance.choice(_ODD) + text[found.end() :]
        elif kind == 2:
            lines = text.splitlines(keepends=True)
            row = chance.randrange(len(lines))
            lines[row : row + 1] = chance.choice([[], [lines[row]] * 2, [chance.choice(lines)]])
            text = "".join(lines)
        else:
            place = chance.randrange(len(text))
            text = text[:place] + chr(chance.randrange(0x2FFF)) + text[place + 1 :]
    return text


def test_a_damaged_profile_is_loaded_or_refused_in_one_line(tmp_path: Path) -> None:
    """No damage raises anything but a ProfileError of one line, or breaks what runs by the file.

    DCPI_FUZZ_SECONDS makes it go on for longer.
    """
    path = tmp_path / "damaged.yaml"
    until = time.monotonic() + float(os.environ.get("DCPI_FUZZ_SECONDS", "0"))
    loaded = 0
    refusals: list[str] = []
    while loaded + len(refusals) < 250 or time.monotonic() < until:
        path.write_text(damaged(loaded + len(refusals)), "utf-8")
        try:
            profile = load_profile(path)
        except ProfileError as error:
            refusals.append(str(error))
            continue
        device = SimulatedDevice(profile)
        SimulatedBehaviour(device).advance(1.0)
        values = {name: device.get(name) or 0.0 for name in profile.points}
        for check in profile.checks:
            check.holds(values)
        loaded += 1
    assert loaded
    assert refusals
    assert [text for text in refusals if "\n" in text or not text.startswith(f"{path}:")] == []
