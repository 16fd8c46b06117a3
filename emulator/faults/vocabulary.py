"""The kinds of faults and their parameters, as schemas/scenario says; the plant reads it, too."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

import schemas
from emulator.plant.errors import FaultError

_SCHEMA: Final = schemas.schema("scenario/scenario")
_ALONE: Final = Draft202012Validator(
    {"$ref": "#/$defs/fault", "unevaluatedProperties": False, "$defs": _SCHEMA["$defs"]}
)

_REASONS: Final = {
    "noise anyOf": "neither a number from 0 on nor a share of the value such as 5%",
    "anyOf": "neither a number nor a share of the value such as 5%",
    "not": "is over at once and takes no until_s",
}
"""In other words than the schema's, of one kind or of all."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind: `place` is where it enters (plant, device, host, front, service)."""

    name: str
    place: str
    text: str
    parameters: Mapping[str, Mapping[str, Any]]
    required: tuple[str, ...]


def _kinds() -> Iterator[Kind]:
    for branch in _SCHEMA["$defs"]["fault"]["oneOf"]:
        name = branch["$ref"].rpartition("/")[2]
        found = _SCHEMA["$defs"][name]
        parameters = {key: value for key, value in found["properties"].items() if key != "fault"}
        required = tuple(found["required"])
        yield Kind(name, found["$comment"], found["description"], parameters, required)


KINDS: Final = {kind.name: kind for kind in _kinds()}


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of a known kind with parameters that fit it; what they name need not be there."""

    kind: str
    parameters: Mapping[str, Any]

    @property
    def place(self) -> str:
        """Where it enters."""
        return KINDS[self.kind].place

    @property
    def document(self) -> dict[str, Any]:
        """It as it is written."""
        return {"fault": self.kind, **self.parameters}

    def seed(self, seed: int) -> int:
        """Its own stream of chance: another fault beside it changes nothing in it."""
        return zlib.crc32(f"{seed} {json.dumps(self.document, sort_keys=True)}".encode())

    def __str__(self) -> str:
        shown = (f"{name}={value}" for name, value in self.parameters.items())
        return " ".join((self.kind, *shown))


def fault_of(document: object) -> Fault:
    """The fault that a JSON value describes; FaultError says what is wrong with it."""
    problem = first_problem(_ALONE.iter_errors(document))
    if problem is not None:
        raise FaultError(": ".join(filter(None, problem)))
    assert isinstance(document, dict)
    return fault_without_timing(document)


def fault_without_timing(document: Mapping[str, Any]) -> Fault:
    """The fault of a checked event."""
    timing = ("fault", "at_s", "until_s")
    return Fault(document["fault"], {k: v for k, v in document.items() if k not in timing})


def first_problem(errors: Iterable[ValidationError]) -> tuple[str, str] | None:
    """Place and reason of the first of a schema's errors; of a fault's, in terms of its kind."""
    ranks = {"type": 0, "required": 0, "oneOf": 1}
    found = sorted(errors, key=lambda e: ([*map(str, e.path)], ranks.get(str(e.validator), 2)))
    if not found:
        return None
    error = found[0]
    place = "/".join(map(str, error.absolute_path))
    if error.validator == "unevaluatedProperties":
        return place, _superfluous(error)
    if error.validator != "oneOf":
        return place, schemas.complaint(error)
    kind = error.instance.get("fault")
    if not isinstance(kind, str) or kind not in KINDS:
        return place, f"no fault {str(kind)[:80]!r} (there are: {', '.join(KINDS)})"
    number = list(KINDS).index(kind)
    meant = [inner for inner in error.context if inner.schema_path[0] == number]
    inner = min(meant, key=lambda e: len(e.path), default=error)
    place = "/".join(map(str, inner.absolute_path))
    names = f"{kind} {inner.validator}", str(inner.validator)
    known = next((_REASONS[name] for name in names if name in _REASONS), None)
    reason = known or schemas.complaint(inner)
    return place, reason if inner.path else f"{kind}: {reason}"


def _superfluous(error: ValidationError) -> str:
    """What a fault of a known kind has that it does not take, and what it takes."""
    kind = KINDS[error.instance["fault"]]
    takes = ", ".join(kind.parameters)
    taken = {"fault", *kind.parameters, *error.schema.get("properties", {})}
    names = [name for name in error.instance if name not in taken]
    reason = f"{kind.name} takes no {', '.join(map(repr, names))} (it takes: {takes})"
    if "bmc" in names:
        reason += "; all BMCs share the campus"
    return reason


def not_finite(value: object, place: str = "") -> str | None:
    """Where a number is that no schema's bound refuses: YAML and JSON readers know NaN."""
    if isinstance(value, float) and not math.isfinite(value):
        return place
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in pairs:
            if (found := not_finite(inner, f"{place}/{key}".lstrip("/"))) is not None:
                return found
    return None
