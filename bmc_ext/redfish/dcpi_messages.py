"""Messages of our own registry, filled as DSP0266 9.5.11.2 fills them."""

from __future__ import annotations

import functools
import json
from typing import Any, Final

import schemas

FILE: Final = "Dcpi.1.0.0.json"
PREFIX: Final = "Dcpi.1.0"


@functools.cache
def registry() -> dict[str, Any]:
    """The registry itself."""
    document: dict[str, Any] = json.loads(schemas.path(f"registries/{FILE}").read_bytes())
    return document


def message(key: str, *arguments: str) -> dict[str, Any]:
    """MessageId, Message, MessageArgs and Severity; ValueError for another number of arguments."""
    known = registry()["Messages"][key]
    if len(arguments) != known["NumberOfArgs"]:
        raise ValueError(f"{key} takes {known['NumberOfArgs']} arguments, not {len(arguments)}")
    text = known["Message"]
    for number, argument in enumerate(arguments, start=1):
        text = text.replace(f"%{number}", argument, 1)
    return {
        "MessageId": f"{PREFIX}.{key}",
        "Message": text,
        "MessageArgs": list(arguments),
        "Severity": known["MessageSeverity"],
    }
