"""The published schemas: messages, OEM Redfish types, configuration, and examples of each."""

from __future__ import annotations

import functools
import json
import math
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Final

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

__all__ = ["complaint", "path", "schema", "validator"]

_SHOWN: Final = 80  # characters of a value that a complaint repeats
_TYPES: Final = {
    "object": "a mapping",
    "array": "a list",
    "string": "a text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "nothing",
}


def path(name: str) -> Traversable:
    """A file of this package, for example `redfish/DcpiService_v1.xml`."""
    return resources.files(__name__).joinpath(name)


@functools.cache
def schema(name: str) -> dict[str, Any]:
    """The JSON Schema `<name>.schema.json`, for example `messages/workload_announcement`."""
    document: dict[str, Any] = json.loads(path(f"{name}.schema.json").read_text(encoding="utf-8"))
    return document


@functools.cache
def validator(name: str) -> Draft202012Validator:
    """A validator of that schema, with formats enforced."""
    return Draft202012Validator(schema(name), format_checker=Draft202012Validator.FORMAT_CHECKER)


def complaint(error: ValidationError) -> str:
    """What an error says, for whoever wrote the file or the request; never all of a long value."""
    value = error.instance
    is_long = len(repr(value)) > _SHOWN
    if error.validator != "type":
        said: str = error.message
        return said.replace(repr(value), _kind(value)) if is_long else said
    wanted = error.validator_value
    types = [wanted] if isinstance(wanted, str) else wanted
    is_named = is_long or value is None or isinstance(value, dict | list)
    found = _kind(value) if is_named else _scalar(value)
    if _is_exponential(value) and {"number", "integer"} & {*types}:
        found += " (a number with an exponent has a point and a sign in YAML: 1.0e+9)"
    return f"{' or '.join(_TYPES[name] for name in types)} is wanted, not {found}"


def _kind(value: object) -> str:
    kinds = ((dict, "object"), (list, "array"), (str, "string"), (type(None), "null"))
    return next((_TYPES[name] for kind, name in kinds if isinstance(value, kind)), "a number")


def _scalar(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _is_exponential(value: object) -> bool:
    """A text that looks like a number: YAML 1.1 takes 1e9 for one."""
    if not isinstance(value, str) or "e" not in value.lower():
        return False
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False
