"""The published schemas: messages, OEM Redfish types, configuration, and examples of each."""

from __future__ import annotations

import functools
import json
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
    shown = repr(error.instance)
    is_long = len(shown) > _SHOWN
    if error.validator == "type":
        wanted = error.validator_value
        types = [wanted] if isinstance(wanted, str) else wanted
        is_named = is_long or error.instance is None or isinstance(error.instance, dict | list)
        found = _kind(error.instance) if is_named else shown
        return f"{' or '.join(_TYPES[name] for name in types)} is wanted, not {found}"
    said: str = error.message
    return said.replace(shown, _kind(error.instance)) if is_long else said


def _kind(value: object) -> str:
    kinds = ((dict, "object"), (list, "array"), (str, "string"), (type(None), "null"))
    return next((_TYPES[name] for kind, name in kinds if isinstance(value, kind)), "a number")
