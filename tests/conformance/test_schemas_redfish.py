"""The CSDL of our OEM types, the JSON Schema made from it, and the Redfish examples."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from jsonschema import Draft202012Validator

import schemas
from schemas.redfish.json_schema import json_schema

FOLDER = Path(str(schemas.path("redfish")))
EXAMPLES = Path(str(schemas.path("examples")))
EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
EDMX = "{http://docs.oasis-open.org/odata/ns/edmx}"

TYPES = [
    "DcpiGridStatus",
    "DcpiMetricReport",
    "DcpiPowerEvents",
    "DcpiPowerHistory",
    "DcpiPowerRealtime",
    "DcpiSensor",
    "DcpiService",
    "DcpiServiceRoot",
    "DcpiThermalStatus",
    "DcpiWorkload",
    "DcpiWorkloadCollection",
]
TREES = ("/redfish/v1/dcpi", "/redfish/v1/Oem/DCPI", "/redfish/v1/Chassis/{ChassisId}/Oem/DCPI")

PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "Edm.Boolean": (bool,),
    "Edm.DateTimeOffset": (str,),
    "Edm.Decimal": (int, float),
    "Edm.Int64": (int,),
    "Edm.String": (str,),
}

BASE_MEMBERS = {"Id", "Name", "Description", "Oem", "Members@odata.count"}


def csdl(name: str) -> ElementTree.Element:
    """The parsed CSDL of one type."""
    return ElementTree.parse(FOLDER / f"{name}_v1.xml").getroot()


def redfish_examples() -> list[str]:
    """The examples of the Redfish face, by file name."""
    return sorted(path.name for path in EXAMPLES.glob("*.redfish.json"))


def example(name: str) -> dict[str, Any]:
    """One example of the Redfish face."""
    document: dict[str, Any] = json.loads((EXAMPLES / name).read_text(encoding="utf-8"))
    return document


def schema_of(document: dict[str, Any]) -> Draft202012Validator:
    """A validator for the type that the document says it has."""
    version = document["@odata.type"].removeprefix("#").rpartition(".")[0]
    schema = json.loads((FOLDER / f"{version}.json").read_text(encoding="utf-8"))
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def test_there_is_csdl_for_every_type() -> None:
    """Each OEM type has one CSDL file, and no other is there."""
    assert sorted(path.name.removesuffix("_v1.xml") for path in FOLDER.glob("*.xml")) == TYPES


@pytest.mark.parametrize("name", TYPES)
def test_the_json_schema_is_the_one_made_from_the_csdl(name: str) -> None:
    """The JSON Schema on disk is what json_schema makes of the CSDL today, and valid 2020-12."""
    made = json_schema((FOLDER / f"{name}_v1.xml").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(made)
    path = FOLDER / made["$id"].rpartition("/")[2]
    assert json.loads(path.read_text(encoding="utf-8")) == made, (
        "run: python -m schemas.redfish.json_schema"
    )


@pytest.mark.parametrize("name", TYPES)
def test_every_used_namespace_is_referenced(name: str) -> None:
    """Each alias and each type of another file that the CSDL uses is included at its top."""
    root = csdl(name)
    included = set()
    for include in root.iter(f"{EDMX}Include"):
        included |= {include.attrib["Namespace"], include.attrib.get("Alias", "")}
    own = {schema.attrib["Namespace"] for schema in root.iter(f"{EDM}Schema")}
    for element in root.iter():
        for attribute in ("Type", "BaseType"):
            used = element.attrib.get(attribute, "Edm.String")
            used = used.removeprefix("Collection(").removesuffix(")")
            assert used.rpartition(".")[0] in included | own | {"Edm"}, used
        if "Term" in element.attrib:
            assert element.attrib["Term"].partition(".")[0] in included


@pytest.mark.parametrize("name", TYPES)
def test_every_member_is_described(name: str) -> None:
    """Types, members, actions and parameters carry a description; all but enums a long one too."""
    for element in csdl(name).iter():
        kind = element.tag.removeprefix(EDM)
        if kind not in (
            "EntityType", "ComplexType", "EnumType", "Member", "Property", "NavigationProperty",
            "Action",
        ) or re.fullmatch(r"Dcpi\w+\.Dcpi\w+", element.attrib.get("BaseType", "")):  # fmt: skip
            continue
        terms = {note.attrib["Term"] for note in element.findall(f"{EDM}Annotation")}
        assert "OData.Description" in terms, element.attrib
        assert kind in ("EnumType", "Member") or "OData.LongDescription" in terms, element.attrib


@pytest.mark.parametrize("name", TYPES)
def test_every_number_with_a_unit_in_its_name_declares_it(name: str) -> None:
    """A property whose name ends in a unit says so with Measures.Unit."""
    units = {
        "Watts": "W", "VAR": "V.A", "VA": "V.A", "kWh": "kW.h", "Hz": "Hz", "Volts": "V",
        "Amps": "A", "Percent": "%", "Celsius": "Cel", "LitersPerMinute": "L/min", "Bar": "bar",
        "Seconds": "s", "Milliseconds": "ms", "GramsPerkWh": "g/(kW.h)",
    }  # fmt: skip
    for member in csdl(name).iter(f"{EDM}Property"):
        ends = [suffix for suffix in units if member.attrib["Name"].endswith(suffix)]
        if ends:
            notes = {note.attrib["Term"]: note for note in member.findall(f"{EDM}Annotation")}
            unit = notes["Measures.Unit"].attrib["String"]
            assert unit == units[max(ends, key=len)], member.attrib["Name"]


@pytest.mark.parametrize("name", redfish_examples())
def test_a_redfish_example_fits_its_schema(name: str) -> None:
    """Each Redfish example validates for the type that it says it has, with no unknown member."""
    document = example(name)
    schema_of(document).validate(document)


@pytest.mark.parametrize("name", redfish_examples())
def test_a_redfish_example_lives_at_a_uri_of_its_type(name: str) -> None:
    """The example's @odata.id matches a URI of its CSDL, and each tree has its own."""
    document = example(name)
    root = csdl(document["@odata.type"].removeprefix("#").partition(".")[0])
    notes = [note for note in root.iter(f"{EDM}Annotation") if note.get("Term") == "Redfish.Uris"]
    uris = [text.text or "" for text in notes[0].iter(f"{EDM}String")]
    patterns = [re.sub(r"\\{\w+\\}", "[^/]+", re.escape(uri)) for uri in uris]
    assert any(re.fullmatch(pattern, document["@odata.id"]) for pattern in patterns)
    assert sorted(uri.removeprefix(tree) for tree in TREES for uri in uris if uri.startswith(tree)
                  ) == sorted([uris[0].removeprefix(TREES[0])] * len(TREES))  # fmt: skip


@pytest.mark.parametrize("name", redfish_examples())
def test_every_member_of_an_example_is_in_the_csdl(name: str) -> None:
    """Member by member, an example's values have the Edm type that the CSDL gives."""
    document = example(name)
    root = csdl(document["@odata.type"].removeprefix("#").partition(".")[0])
    kinds = {
        f"{schema.attrib['Namespace']}.{kind.attrib['Name']}": kind
        for schema in root.iter(f"{EDM}Schema")
        for kind in schema
        if "Name" in kind.attrib and kind.tag != f"{EDM}Action"
    }
    odata_type = document["@odata.type"].removeprefix("#")
    checked = list(mismatches(document, kinds[odata_type], kinds))
    assert [problem for problem in checked if problem] == []
    assert checked


def mismatches(
    document: dict[str, Any], kind: ElementTree.Element, kinds: dict[str, ElementTree.Element]
) -> Iterator[str]:
    """A text for each member that does not fit, an empty one for each that does."""
    members = {member.attrib["Name"]: member for member in kind if "Type" in member.attrib}
    for name, value in document.items():
        if name.startswith("@odata.") or name in BASE_MEMBERS - members.keys():
            continue
        if name == "Actions":
            yield from unknown_actions(value, kinds)
        elif name not in members:
            yield f"{name} is not in the CSDL"
        else:
            yield from member_mismatches(name, value, members[name], kinds)


def unknown_actions(
    actions: dict[str, Any], kinds: dict[str, ElementTree.Element]
) -> Iterator[str]:
    """Each action of an example is declared for the type, and its target is below the resource."""
    name = min(kinds, key=len).partition(".")[0]
    declared = {action.attrib["Name"] for action in csdl(name).iter(f"{EDM}Action")}
    for action, details in actions.items():
        known = action.removeprefix(f"#{name}.") in declared
        placed = details["target"].endswith(f"/Actions/{action.removeprefix('#')}")
        yield "" if known and placed else f"{action} is not declared, or not at its place"


def member_mismatches(
    name: str, value: Any, member: ElementTree.Element, kinds: dict[str, ElementTree.Element]
) -> Iterator[str]:
    """The same for one member, into its parts."""
    declared = member.attrib["Type"]
    item = declared.removeprefix("Collection(").removesuffix(")")
    if value is None:
        yield f"{name} is null" if member.attrib.get("Nullable") == "false" else ""
        return
    if isinstance(value, list) != (item != declared):
        yield f"{name} is a collection in one of the two only"
        return
    for part in value if isinstance(value, list) else [value]:
        if item in PYTHON_TYPES:
            fits = isinstance(part, PYTHON_TYPES[item]) and not (
                isinstance(part, bool) and item != "Edm.Boolean"
            )
            yield "" if fits else f"{name} is {part!r}, not {item}"
        elif member.tag == f"{EDM}NavigationProperty":
            yield "" if list(part) == ["@odata.id"] else f"{name} is no link"
        elif item in kinds and kinds[item].tag == f"{EDM}EnumType":
            values = [entry.attrib["Name"] for entry in kinds[item].iter(f"{EDM}Member")]
            yield "" if part in values else f"{name} is {part!r}, not one of {values}"
        elif item in kinds:
            yield from mismatches(part, kinds[item], kinds)


@pytest.mark.parametrize(
    ("name", "member", "value"),
    [
        ("power_realtime", "WindowId", "17726193301"),
        ("power_realtime", "WindowId", -1),
        ("power_realtime", "Quality", None),
        ("power_realtime", "WindowStart", "yesterday"),
        ("power_realtime", "Total", None),
        ("power_realtime", "Bogus", 1),
        ("power_history", "Points", {}),
        ("power_events", "Events", [{"EventId": "1"}]),
        ("power_events", "ThresholdWatts", "50 MW"),
        ("thermal_status", "TotalHeatWatts", "71 MW"),
        ("thermal_status", "Loops", [{"SystemId": "a"}]),
        ("grid_status", "GreenEnergyAvailable", "no"),
        ("grid_status", "ContractLimitWatts", -1),
        ("grid_status", "Actions", {"#DcpiGridStatus.Explode": {"target": "/x"}}),
        ("workload", "WorkloadState", "scheduled"),
        ("workload", "ApprovalStatus", "perhaps"),
        ("workload", "Reasons", [1]),
        ("workload", "@odata.type", "#DcpiWorkload.v1_0_0.Workload"),
        ("workload_collection", "Members", ["/redfish/v1/dcpi/workloads/a"]),
        ("workload_collection", "Members@odata.count", -1),
        ("dcpi_service", "PowerRealtime", "/redfish/v1/dcpi/power/realtime"),
        ("dcpi_service", "ControlMode", "dream"),
    ],
)
def test_a_broken_resource_does_not_fit(name: str, member: str, value: Any) -> None:
    """A resource with one wrong member breaks the schema at that member."""
    document = copy.deepcopy(example(f"{name}.redfish.json"))
    validator = schema_of(document)
    document[member] = value
    errors = list(validator.iter_errors(document))
    assert errors
    assert all(member in [*error.absolute_path, *re.findall(r"'(\w+)'", error.message)]
               for error in errors)  # fmt: skip


def test_the_link_in_the_service_root_has_a_type() -> None:
    """ServiceRoot.Oem.DCPI fits DcpiServiceRoot, which derives from the standard's OemObject."""
    link = {
        "@odata.type": "#DcpiServiceRoot.v1_0_0.ServiceRoot",
        "Service": {"@odata.id": "/redfish/v1/dcpi"},
    }
    schema_of(link).validate(link)
    kinds = list(csdl("DcpiServiceRoot").iter(f"{EDM}ComplexType"))
    assert [kind.attrib["BaseType"] for kind in kinds] == ["Resource.OemObject"]


def test_actions_take_the_members_of_their_messages() -> None:
    """The parameters of each Action are the members of the messages that its POST takes."""
    taken = {
        "DcpiService": ["workload_announcement.full"],
        "DcpiThermalStatus": ["thermal_control"],
        "DcpiGridStatus": ["demand_response_request", "grid_signal"],
    }
    for name, messages in taken.items():
        parameters = [entry.attrib["Name"] for entry in csdl(name).iter(f"{EDM}Parameter")][1:]
        members = [set(schemas.schema(f"messages/{each}")["properties"]) for each in messages]
        assert set(parameters) == set.union(*members)
