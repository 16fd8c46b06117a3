"""A BMC whose root names next to nothing: what its resources link to is found, or left out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from acme_mockup import link, links
from mockup_bmc import MockupBmc, mockup_bmc, write_mockup
from served_front import Served, served, wait_for
from upstream_bmcs import sidecar_config

ROOT = "/redfish/v1"
_NOT_FOLLOWED = ("/SSE", "/stream", "/Data", "/update-multipart")
"""Streams, and what takes no GET."""

TREE: dict[str, dict[str, Any]] = {
    "": {
        "@odata.type": "#ServiceRoot.v1_2_0.ServiceRoot", "Id": "RootService", "Name": "Sparse",
        "Chassis": link("Chassis"), "Links": {"Sessions": link("Sessions")},
    },
    "Chassis": links("1", of="Chassis"),
    "Chassis/1": {
        "@odata.type": "#Chassis.v1_4_0.Chassis", "Id": "1", "Name": "Box", "ChassisType": "Rack",
        "Links": {"ComputerSystems": [link("Systems/1")], "ManagedBy": [link("Managers/1")]},
        "Oem": {
            "Sparse": {
                name: link(path)
                for name, path in {
                    "Sessions": "Sessions", "SessionService": "SessionService",
                    "Telemetry": "TelemetryService", "Reports": "TelemetryService/MetricReports",
                    "Report": "TelemetryService/MetricReports/1", "Tasks": "TaskService/Tasks",
                    "TelemetryLog": "TelemetryService/LogService", "Update": "UpdateService",
                    "Certificates": "CertificateService", "Events": "EventService",
                    "Locations": "CertificateService/CertificateLocations",
                    "Firmware": "UpdateService/FirmwareInventory/1", "Registry": "Registries/1",
                    "Registries": "registries", "Schemas": "schema", "JsonSchemas": "JsonSchemas",
                    "OData": "odata", "Metadata": "$metadata", "Power": "PowerEquipment",
                }.items()
            }
        },
    },
    "Systems/1": {
        "@odata.type": "#ComputerSystem.v1_5_0.ComputerSystem", "Id": "1", "Name": "Blade",
    },
    "Managers/1": {
        "@odata.type": "#Manager.v1_5_0.Manager", "Id": "1", "Name": "BMC",
        "NetworkProtocol": link("Managers/1/NetworkProtocol"),
    },
    "Managers/1/NetworkProtocol": {
        "@odata.type": "#ManagerNetworkProtocol.v1_5_0.ManagerNetworkProtocol",
        "Id": "NetworkProtocol", "Name": "N",
        "HTTPS": {"Certificates": link("Managers/1/NetworkProtocol/HTTPS/Certificates")},
    },
    "Managers/1/NetworkProtocol/HTTPS/Certificates": links(
        of="Managers/1/NetworkProtocol/HTTPS/Certificates"
    ),
    "TelemetryService/MetricReports/1": {
        "@odata.type": "#MetricReport.v1_3_0.MetricReport", "Id": "1", "Name": "R",
    },
    "UpdateService/FirmwareInventory/1": {
        "@odata.type": "#SoftwareInventory.v1_2_0.SoftwareInventory", "Id": "1", "Name": "F",
    },
    "Registries/1": {"Id": "1", "Name": "R", "Registry": "Sparse.1.0"},
}  # fmt: skip


@pytest.fixture(scope="module")
def bmc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MockupBmc]:
    """The BMC behind."""
    folder = tmp_path_factory.mktemp("bmc")
    write_mockup(folder, TREE)
    with mockup_bmc(folder) as server:
        yield server


@pytest.fixture(scope="module")
def front(bmc: MockupBmc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The sidecar in front of it, with its first window."""
    folder: Path = tmp_path_factory.mktemp("sidecar")
    with served(folder, config=sidecar_config(folder, bmc.url, ca=bmc.ca)) as it:
        wait_for(lambda: it.ask("GET", f"{ROOT}/Chassis/1").status == 200, 20, "known")
        wait_for(lambda: it.ask("GET", f"{ROOT}/dcpi/power/realtime").status == 200, 20, "window")
        yield it


def _links(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, member in value.items():
            is_uri = name in ("@odata.id", "@Redfish.ActionInfo") or name.endswith("Uri")
            if isinstance(member, str) and is_uri and member.startswith(ROOT):
                yield member.partition("#")[0]
            yield from _links(member)
    elif isinstance(value, list):
        for entry in value:
            yield from _links(entry)


def test_every_link_of_both_trees_is_answered(front: Served) -> None:
    """From our root on, whatever the BMC's root does not name."""
    waiting, seen, dead = deque([f"{ROOT}/"]), {f"{ROOT}/"}, []
    while waiting:
        uri = waiting.popleft()
        answer = front.ask("GET", uri)
        if answer.status != 200:
            dead.append((uri, answer.status))
        for found in _links(answer.body):
            # Schema files are hundreds, each of the same make.
            if found not in seen and not found.endswith(_NOT_FOLLOWED):
                if "/JsonSchemas/" not in found:
                    waiting.append(found)
                seen.add(found)
    assert dead == []
    theirs = (
        "Systems/1", "Managers/1/NetworkProtocol/HTTPS/Certificates", "Registries/1",
        "TelemetryService/MetricReports/Upstream_1", "UpdateService/FirmwareInventory/1",
    )  # fmt: skip
    assert {f"{ROOT}/{path}" for path in theirs} <= seen


def test_a_link_to_what_is_ours_elsewhere_is_left_out(front: Served) -> None:
    """What has no counterpart here is not linked; what has one leads to ours."""
    shown = front.ask("GET", f"{ROOT}/Chassis/1").body["Oem"]["Sparse"]
    assert {"Sessions", "Locations", "TelemetryLog", "Registries", "Schemas"}.isdisjoint(shown)
    assert {"SessionService", "Telemetry", "Reports", "Report", "Certificates"} <= shown.keys()
