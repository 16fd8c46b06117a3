"""A small device profile whose details a test chooses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml


def write_profile(
    folder: Path, points: dict[str, dict[str, Any]], *, name: str = "p", **parts: Any
) -> str:
    """The path of a profile of u16 holding registers in one group, at 10 Hz unless told."""
    transport = {"modes": ["rtu", "tcp"], "timeout_ms": 100} | parts.pop("transport", {})
    group = {"every_ms": 100, "source_ms": 100, "stale_after_ms": 2000} | parts.pop("group", {})
    profile = {
        "profile": "device-profile/1",
        "id": f"test.{name}",
        "vendor": "Test",
        "model": name,
        "kind": "PowerMeter",
        "sources": [{"ref": "none", "verified": "restated"}],
        "transport": transport,
        "defaults": {"fc": 3, "type": "u16", "group": "fast"},
        "groups": {"fast": group},
        "points": points,
        **parts,
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(profile))
    return str(path)
