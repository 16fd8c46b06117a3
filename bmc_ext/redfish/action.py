"""Parameters of actions, declared once: bodies are checked against them, ActionInfo tells them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bmc_ext.redfish import members
from bmc_ext.redfish.context import Context, Request
from bmc_ext.redfish.registry import Routes
from bmc_ext.security.identity import LOGIN
from schemas import schema

SCHEMA: Final = "ActionInfo.v1_4_2.ActionInfo"
REFERENCE: Final = "@Redfish.ActionInfo"
"""What names the ActionInfo beside the target of an action."""


def _array_of(kind: type) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and all(isinstance(one, kind) for one in value)


_KINDS: Final[Mapping[str, tuple[Callable[[object], bool], str]]] = {
    "Boolean": (lambda value: isinstance(value, bool), "is neither true nor false"),
    "Number": (
        lambda value: isinstance(value, int | float) and not isinstance(value, bool),
        "is not a number",
    ),
    "String": (lambda value: isinstance(value, str), "is not a string"),
    "StringArray": (_array_of(str), "is not an array of strings"),
    "Object": (lambda value: isinstance(value, dict), "is not an object"),
    "ObjectArray": (_array_of(dict), "is not an array of objects"),
}
"""ParameterTypes of the schema ActionInfo, and what is said where a value has another one."""

_OF_JSON_SCHEMA: Final = {
    "boolean": "Boolean", "integer": "Number", "number": "Number", "object": "Object",
    "string": "String",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an action; `object_type` is the type of an Object, such as `Certificate`."""

    name: str
    data_type: str = "String"
    required: bool = False
    allowable: Sequence[str] = ()
    object_type: str = ""

    def check(self, value: object) -> None:
        """RedfishError where a parameter cannot have this value."""
        fits, reason = _KINDS[self.data_type]
        if not fits(value):
            raise members.wrong_type(self.name, value, reason)
        if self.allowable and value not in self.allowable:
            reason = f"{self.name} is none of {', '.join(self.allowable)}"
            raise members.refused("PropertyValueNotInList", reason, self.name, value)

    @property
    def shown(self) -> dict[str, Any]:
        """The same in ActionInfo."""
        told: dict[str, Any] = {
            "Name": self.name,
            "Required": self.required,
            "DataType": self.data_type,
        }
        if self.allowable:
            told["AllowableValues"] = list(self.allowable)
        if self.object_type:
            told["ObjectDataType"] = f"#{self.object_type}"
        return told


def checked(body: object, parameters: Iterable[Parameter]) -> dict[str, Any]:
    """The parameters that a body holds; RedfishError for one that is missing, unknown or wrong."""
    declared = {parameter.name: parameter for parameter in parameters}
    found = members.json_object(body, declared)
    for name, parameter in declared.items():
        if name in found:
            parameter.check(found[name])
        elif parameter.required:
            members.required(found, name)
    return found


def of_messages(*names: str) -> tuple[Parameter, ...]:
    """The members of messages by their schemas (`schemas/messages`), required where all do."""
    documents = [schema(f"messages/{name}") for name in names]
    required = set.intersection(*(set(one["required"]) for one in documents))
    found: dict[str, list[Mapping[str, Any]]] = {}
    for one in documents:
        for name, member in one["properties"].items():
            found.setdefault(name, []).append(member)
    return tuple(
        Parameter(name, _data_type(said[0]), name in required, _allowable(said))
        for name, said in found.items()
    )


def _data_type(member: Mapping[str, Any]) -> str:
    if member.get("type") == "array":
        return f"{_data_type(member['items'])}Array"
    return _OF_JSON_SCHEMA[member.get("type", "string")]


def _allowable(said: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Every value that one of the messages knows, where all of them name theirs."""
    if not all("enum" in member for member in said):
        return ()
    return tuple(dict.fromkeys(value for member in said for value in member["enum"]))


def tell(
    routes: Routes,
    uri: str,
    parameters: Sequence[Parameter],
    exists: Callable[[Context, Request], object] = lambda context, request: None,  # noqa: ARG005
) -> None:
    """Serve the ActionInfo of these parameters at `uri`, where `exists` raises nothing."""
    name = uri.rpartition("/")[2]
    body = {
        "Id": name,
        "Name": f"Parameters of {name.removesuffix('ActionInfo')}",
        "Parameters": [parameter.shown for parameter in parameters],
    }

    @routes.get(uri, LOGIN, schema=SCHEMA)
    def action_info(context: Context, request: Request) -> dict[str, Any]:
        """What the action takes."""
        exists(context, request)
        return body
