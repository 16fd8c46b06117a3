"""$metadata: references to DMTF's published schemas and to our own."""

from __future__ import annotations

import functools
import re

import schemas
from bmc_ext.redfish.errors import RedfishError

_PUBLISHED = "http://redfish.dmtf.org/schemas/v1"

_STANDARD = {
    "ServiceRoot": "v1_17_0",
    "SessionService": "v1_1_9",
    "Session": "v1_7_2",
    "SessionCollection": "",
    "AccountService": "v1_15_1",
    "ManagerAccount": "v1_12_1",
    "ManagerAccountCollection": "",
    "Role": "v1_3_3",
    "RoleCollection": "",
    "Chassis": "v1_25_2",
    "ChassisCollection": "",
    "Manager": "v1_20_0",
    "ManagerCollection": "",
    "ComputerSystemCollection": "",
    "Sensor": "v1_13_0",
    "SensorCollection": "",
    "Message": "v1_2_1",
    "Resource": "v1_0_0",
}
"""The standard schemas that our own resources use, with the version of each."""


@functools.cache
def document() -> bytes:
    """The metadata document (DSP0266 8.4.1)."""
    references = [
        _reference(f"{_PUBLISHED}/{name}_v1.xml", _namespaces(name, version))
        for name, version in _STANDARD.items()
    ]
    for file in own_schemas():
        text = schemas.path(f"redfish/{file}").read_text(encoding="utf-8")
        namespaces = re.findall(r'<Schema [^>]*Namespace="([^"]+)"', text)
        references.append(_reference(f"/redfish/v1/schema/{file}", namespaces))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<edmx:Edmx xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx" Version="4.0">\n'
        + "".join(references)
        + "  <edmx:DataServices>\n"
        '    <Schema xmlns="http://docs.oasis-open.org/odata/ns/edm" Namespace="Service">\n'
        '      <EntityContainer Name="Service" Extends="ServiceRoot.v1_17_0.ServiceContainer"/>\n'
        "    </Schema>\n"
        "  </edmx:DataServices>\n"
        "</edmx:Edmx>\n"
    ).encode()


def own_schemas() -> list[str]:
    """File names of the CSDL that we publish."""
    return sorted(
        entry.name for entry in schemas.path("redfish").iterdir() if entry.name.endswith(".xml")
    )


def schema(file: str) -> bytes:
    """One of our CSDL files; RedfishError 404."""
    if file not in own_schemas():
        raise RedfishError(404, f"no schema {file!r}")
    return schemas.path(f"redfish/{file}").read_bytes()


def _namespaces(name: str, version: str) -> list[str]:
    return [name, f"{name}.{version}"] if version else [name]


def _reference(uri: str, namespaces: list[str]) -> str:
    includes = "".join(f'    <edmx:Include Namespace="{space}"/>\n' for space in namespaces)
    return f'  <edmx:Reference Uri="{uri}">\n{includes}  </edmx:Reference>\n'
