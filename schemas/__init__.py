"""The published schemas: messages, OEM Redfish types, configuration, and examples of each."""

from __future__ import annotations

import functools
import json
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from jsonschema import Draft202012Validator

__all__ = ["path", "schema", "validator"]


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
