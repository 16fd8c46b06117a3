"""JSON Schema (2020-12) of our OEM Redfish types, made from their CSDL, which is the one source.

    python -m schemas.redfish.json_schema

writes `<Type>.<version>.json` beside the CSDL. Keywords follow DMTF's own JSON Schema files:
`longDescription` and `units` carry what JSON Schema has no word for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

__all__ = ["json_schema", "main"]

_EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
_BASE_URI = "https://dcpi-bmc.example/schemas/redfish"

_PRIMITIVES = {
    "Edm.Boolean": {"type": "boolean"},
    "Edm.DateTimeOffset": {"type": "string", "format": "date-time"},
    "Edm.Decimal": {"type": "number"},
    "Edm.Int64": {"type": "integer"},
    "Edm.String": {"type": "string"},
}

_LINK: dict[str, Any] = {
    "type": "object",
    "properties": {"@odata.id": {"type": "string"}},
    "required": ["@odata.id"],
    "additionalProperties": False,
}

# Resource.v1_0_0.Resource and ResourceCollection, as far as a body shows them.
_ODATA: dict[str, Any] = {
    "@odata.context": {"type": "string"},
    "@odata.id": {"type": "string"},
    "@odata.etag": {"type": "string"},
}
_RESOURCE: dict[str, Any] = {
    "Id": {"type": "string"},
    "Name": {"type": "string"},
    "Description": {"type": ["string", "null"]},
    "Oem": {"type": "object"},
}
_STATUS: dict[str, Any] = {
    "description": "Resource.Status of the standard.",
    "type": "object",
    "properties": {
        "State": {"type": ["string", "null"]},
        "Health": {"enum": ["OK", "Warning", "Critical", None]},
        "HealthRollup": {"enum": ["OK", "Warning", "Critical", None]},
        "Conditions": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "MessageId": {"type": "string"},
                    "MessageArgs": {"type": "array", "items": {"type": "string"}},
                    "Message": {"type": "string"},
                    "Severity": {"enum": ["OK", "Warning", "Critical", None]},
                },
                "required": ["MessageId"],
            },
        },
    },
}

# Annotations that the Redfish Specification lets stand beside any member (DSP0266 9.3).
_ANNOTATIONS: dict[str, Any] = {
    "^([A-Za-z_][A-Za-z0-9_]*)?@(odata|Redfish|Message)\\.[A-Za-z_][A-Za-z0-9_]*$": {}
}


def json_schema(csdl: str) -> dict[str, Any]:
    """The schema of the resource or OEM object that this CSDL document defines."""
    spaces = {
        schema.attrib["Namespace"]: schema
        for schema in ElementTree.fromstring(csdl).iter(f"{_EDM}Schema")
    }
    name = min(spaces, key=len)
    version = max(spaces, key=len)
    definitions = {kind.attrib["Name"]: kind for kind in spaces[version] if "Name" in kind.attrib}
    main_type = definitions.get(name) or next(iter(definitions.values()))
    parts = {
        key: _definition(kind)
        for key, kind in definitions.items()
        if kind is not main_type and key not in ("Actions", "OemActions")
    }
    actions = [action.attrib["Name"] for action in spaces[name].iter(f"{_EDM}Action")]
    schema = _object(main_type, actions=[f"#{name}.{action}" for action in actions])
    abstract = next(spaces[name].iter(f"{_EDM}EntityType"), main_type)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{_BASE_URI}/{version}.json",
        "title": f"#{version}.{main_type.attrib['Name']}",
        **_texts(abstract),
        **_with_base(schema, main_type, f"#{version}.{main_type.attrib['Name']}"),
        "$defs": parts | {"Status": _STATUS, "idRef": _LINK},
    }


def _with_base(
    schema: dict[str, Any], kind: ElementTree.Element, odata_type: str
) -> dict[str, Any]:
    """What the standard's base types add: identity, name, and the count of a collection."""
    own, required = schema["properties"], schema.get("required", [])
    type_member: dict[str, Any] = {"@odata.type": {"const": odata_type}}
    if kind.tag == f"{_EDM}ComplexType":
        base, wanted = type_member, ["@odata.type"]
    elif kind.attrib["BaseType"].endswith(".ResourceCollection"):
        without_id = {name: member for name, member in _RESOURCE.items() if name != "Id"}
        count = {"Members@odata.count": {"type": "integer", "minimum": 0}}
        base = {**_ODATA, **type_member, **without_id, **count}
        wanted = ["@odata.id", "@odata.type", "Name", "Members@odata.count"]
    else:
        base = {**_ODATA, **type_member, **_RESOURCE}
        wanted = ["@odata.id", "@odata.type", "Id", "Name"]
    return {**schema, "required": [*wanted, *required], "properties": {**base, **own}}


def _definition(kind: ElementTree.Element) -> dict[str, Any]:
    if kind.tag == f"{_EDM}EnumType":
        members = list(kind.iter(f"{_EDM}Member"))
        return {
            **_texts(kind),
            "enum": [member.attrib["Name"] for member in members],
            "enumDescriptions": {
                member.attrib["Name"]: _texts(member)["description"] for member in members
            },
        }
    return {**_texts(kind), **_object(kind)}


def _object(kind: ElementTree.Element, actions: list[str] | None = None) -> dict[str, Any]:
    properties = {member.attrib["Name"]: _property(member) for member in _members(kind)}
    if actions:
        targets = {"target": {"type": "string"}, "title": {"type": "string"}}
        action = {"type": "object", "properties": targets, "required": ["target"]}
        properties["Actions"] = {
            **_texts(next(m for m in _members(kind) if m.attrib["Name"] == "Actions")),
            "type": "object",
            "properties": dict.fromkeys(actions, action) | {"Oem": {"type": "object"}},
            "additionalProperties": False,
        }
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    required = [m.attrib["Name"] for m in _members(kind) if "Redfish.Required" in _terms(m)]
    if required:
        schema["required"] = required
    return {**schema, "patternProperties": _ANNOTATIONS, "additionalProperties": False}


def _members(kind: ElementTree.Element) -> Iterator[ElementTree.Element]:
    tags = (f"{_EDM}Property", f"{_EDM}NavigationProperty")
    return (member for member in kind if member.tag in tags)


def _property(member: ElementTree.Element) -> dict[str, Any]:
    kind = member.attrib["Type"]
    item = kind.removeprefix("Collection(").removesuffix(")")
    nullable = member.attrib.get("Nullable", "true") == "true"
    if kind != item:
        schema = {"type": "array", "items": _type(member, item)}
    elif not nullable:
        schema = _type(member, item)
    else:
        schema = _or_null(_type(member, item))
    return {**_texts(member), **schema, **_limits(member)}


def _type(member: ElementTree.Element, kind: str) -> dict[str, Any]:
    if kind in _PRIMITIVES:
        return dict(_PRIMITIVES[kind])
    if member.tag == f"{_EDM}NavigationProperty":
        return {"$ref": "#/$defs/idRef"}
    return {"$ref": f"#/$defs/{kind.rpartition('.')[2]}"}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    return {**schema, "type": [schema["type"], "null"]}


def _limits(member: ElementTree.Element) -> dict[str, Any]:
    terms = _terms(member)
    limits: dict[str, Any] = {}
    if "Measures.Unit" in terms:
        limits["units"] = terms["Measures.Unit"]["String"]
    for keyword in ("minimum", "maximum"):
        term = terms.get(f"Validation.{keyword.capitalize()}")
        if term is not None:
            limits[keyword] = int(term["Int"])
    return limits


def _texts(element: ElementTree.Element) -> dict[str, str]:
    terms = _terms(element)
    words = {"description": "OData.Description", "longDescription": "OData.LongDescription"}
    return {word: terms[term]["String"] for word, term in words.items() if term in terms}


def _terms(element: ElementTree.Element) -> dict[str, dict[str, str]]:
    return {note.attrib["Term"]: note.attrib for note in element.findall(f"{_EDM}Annotation")}


def main() -> None:
    """Write the schema of every CSDL file in this folder."""
    folder = Path(__file__).parent
    for source in sorted(folder.glob("*.xml")):
        schema = json_schema(source.read_text(encoding="utf-8"))
        target = folder / schema["$id"].rpartition("/")[2]
        target.write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
