"""`serve` with little configured, and with devices that are dead, before DMTF's validator."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conformance.dmtf import validators
from e2e.emulator_client import COMMAND, PASSWORD, USER, running

_METER = {"id": "m.1-x_", "profile": "eastron.sdm630", "target": "tcp://127.0.0.1:9"}
_FEED = {"rated_power_w": 2e4, "meter": "m.1-x_"}
_SITES: dict[str, dict[str, Any]] = {
    "nothing": {"facility": {"id": "s", "rated_power_w": 1e5}},
    "a dead meter under odd names": {
        "facility": {"id": "0.-_", "name": "Zürich / “Halle” 50 % <b>#?&", "rated_power_w": 1e5},
        "devices": [_METER],
        "feeds": [
            {**_FEED, "id": "f.1_-", "name": "ü / #1 %20", "equipment": {"kind": "RackPDUs"}},
            {**_FEED, "id": "F.1_-"},
        ],
    },
}


@pytest.mark.parametrize("site", _SITES)
def test_a_sparse_service_is_valid(tmp_path: Path, csdl: Path, site: str) -> None:
    """What is not configured, or does not answer, is shown in ways that the schemas allow."""
    document = {"state_dir": "state", "legacy": False, **_SITES[site]}
    config = tmp_path / "service.yaml"
    config.write_text(json.dumps(document), encoding="utf-8")  # JSON is YAML
    subprocess.run(
        [COMMAND, "serve", "--config", config, "--set-password", USER],
        input=f"{PASSWORD}\n{PASSWORD}\n", text=True, check=True, capture_output=True,
    )  # fmt: skip
    with running("serve", "--config", config, "--port", 0) as service:
        report = validators.service(service.port, tmp_path, csdl)
    assert report.bad == (0, 0), (report.findings, report.failures)
    assert len(report.visited) >= 100
