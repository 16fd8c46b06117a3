"""$metadata: references to DMTF's published schemas and to our own."""

from __future__ import annotations

import functools
import re
from xml.sax.saxutils import quoteattr

import schemas
from bmc_ext.redfish.errors import RedfishError

_PUBLISHED = "http://redfish.dmtf.org/schemas/v1"

_EMBEDDED = ("Message.v1_2_1.Message", "Resource.v1_0_0.Resource", "Settings.v1_4_0.Settings")
"""Types that stand inside other resources."""


Extra = tuple[tuple[str, tuple[str, ...]], ...]
"""Namespaces of further schemas, by the URI where each is found."""


@functools.lru_cache(maxsize=4)
def document(
    types: tuple[str, ...], host_types: tuple[str, ...] = (), host_schemas: Extra = ()
) -> bytes:
    """The metadata document (DSP0266 8.4.1) of our types and the host's, and of our own schemas.

    One file has one reference: DMTF's where we have a type of it, else the host's if it has one.
    """
    own = set(own_schemas())
    spaces: dict[str, set[str]] = {}
    for name in (*types, *_EMBEDDED):
        spaces.setdefault(_file(name), set()).update(_namespaces(name))
    uris = {uri.rpartition("/")[2]: uri for uri, _ in reversed(host_schemas)}
    uris = {file: uri for file, uri in uris.items() if file not in spaces}
    for uri, names in host_schemas:
        spaces.setdefault(uri.rpartition("/")[2], set()).update(names)
    for name in host_types:
        spaces.setdefault(_file(name), set()).update(_namespaces(name))
    references = [
        _reference(uris.get(file, f"{_PUBLISHED}/{file}"), sorted(names))
        for file, names in sorted(spaces.items())
        if file not in own
    ]
    for file in sorted(own):
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


def json_schema_names(types: tuple[str, ...]) -> list[str]:
    """Names of the JSON Schemas of these types, such as `Sensor.v1_13_0`."""
    return sorted({name.rpartition(".")[0] for name in types})


def published_json_schema(name: str) -> str:
    """Where DMTF publishes a JSON Schema."""
    return f"{_PUBLISHED}/{name}.json"


def own_schemas() -> list[str]:
    """File names of the CSDL that we publish."""
    return sorted(
        entry.name for entry in schemas.path("redfish").iterdir() if entry.name.endswith(".xml")
    )


def own_json_schema(name: str) -> bytes | None:
    """The JSON Schema of one of our own types; None for a type that is not ours."""
    try:
        return schemas.path(f"redfish/{name}.json").read_bytes()
    except FileNotFoundError:
        return None


def schema(file: str) -> bytes:
    """One of our CSDL files; RedfishError 404."""
    if file not in own_schemas():
        raise RedfishError(404, f"no schema {file!r}")
    return schemas.path(f"redfish/{file}").read_bytes()


def _file(name: str) -> str:
    """`Sensor_v1.xml` of `Sensor.v1_13_0.Sensor`."""
    return f"{name.partition('.')[0]}_v1.xml"


def _namespaces(name: str) -> set[str]:
    """`Sensor` and `Sensor.v1_13_0` of `Sensor.v1_13_0.Sensor`."""
    return {name.partition(".")[0], name.rpartition(".")[0]}


def _reference(uri: str, namespaces: list[str]) -> str:
    includes = "".join(f'    <edmx:Include Namespace="{space}"/>\n' for space in namespaces)
    return f"  <edmx:Reference Uri={quoteattr(uri)}>\n{includes}  </edmx:Reference>\n"
