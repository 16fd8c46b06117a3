"""Small emulators for the validators, and what is expected of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conformance.dmtf.validators import small_emulator
from e2e.emulator_client import Running

_POWER = ["/redfish/v1/Chassis/DCPI/Sensors/Facility_Power#/Reading"]
_DEFINED = {
    "MetricReportDefinitions": {
        "MetricReportDefinitionType": "OnRequest",
        "Metrics": [
            {
                "MetricId": "Mean",
                "MetricProperties": _POWER,
                "CollectionFunction": "Average",
                "CollectionDuration": "PT10S",
            }
        ],
    },
    "Triggers": {
        "MetricType": "Numeric",
        "NumericThresholds": {
            "UpperWarning": {"Reading": 1, "Activation": "Either", "DwellTime": "PT1S"}
        },
        "MetricProperties": _POWER,
        "TriggerActions": ["LogToLogService", "RedfishEvent"],
        "Links": {
            "MetricReportDefinitions": [
                {"@odata.id": "/redfish/v1/TelemetryService/MetricReportDefinitions/FacilityPower"}
            ]
        },
    },
}


@pytest.fixture(scope="module")
def modern(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An emulator without what is deprecated, with what a client may define."""
    with small_emulator(tmp_path_factory.mktemp("modern"), "--no-legacy") as bmc:
        for collection, body in _DEFINED.items():
            answer = bmc.ask("POST", f"/redfish/v1/TelemetryService/{collection}", body)
            assert answer.status == 201, answer.body
        yield bmc


@pytest.fixture(scope="session")
def expected() -> dict[str, Any]:
    """The committed expectations."""
    text = Path(__file__).with_name("expected.yaml").read_text(encoding="utf-8")
    document: dict[str, Any] = yaml.safe_load(text)
    return document


@pytest.fixture(scope="session")
def csdl(shared: Path) -> Path:
    """DMTF's schemas."""
    return shared / "data" / "redfish-csdl"
