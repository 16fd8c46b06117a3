"""A document against the published schema of its message type; one clear refusal names the member.

Annex A fixes two messages. What it accepts is accepted here, whatever a further member holds; the
members that only the draft knows are typed in a second schema, `<type>.full`, and one that does
not fit is to be ignored like any unknown member.
"""

from __future__ import annotations

import copy
import functools
import itertools
import math
from collections.abc import Callable, Collection, Iterable
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker, TypeChecker, ValidationError, validators

import schemas
from bmc_ext.errors import Fault, MessageError
from bmc_ext.messages.envelope import DCPI_VERSIONS
from bmc_ext.messages.pointer import pointer

__all__ = ["FULL", "ignored_members", "message_type_of", "validate"]

FULL = frozenset({"infrastructure_response", "workload_announcement"})
"""Message types of Annex A, which have a `.full` schema beside the accepting one."""

_QUOTED_CHARACTERS = 80
_KINDS = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    type(None): "null",
}


def validate(document: object, message_type: str, *, strict: bool = False) -> dict[str, Any]:
    """The message in `document`, which itself stays as it is.

    A member that Annex A does not know and that breaks its type in the draft is left out, see
    `ignored_members`; with `strict` it is an error. Raises MessageError with the pointer of the
    first offending member: the missing one where one is missing. ValueError when there is no such
    message type.
    """
    message = _message(document)
    _validator(message_type)
    message_type_of(message, (message_type,))
    _raise_first(_validator(message_type).iter_errors(message))
    if message_type not in FULL:
        return message
    faults = list(_validator(f"{message_type}.full").iter_errors(message))
    if strict:
        _raise_first(faults)
    return _without(message, faults)


def message_type_of(document: object, expected: Collection[str]) -> str:
    """Which of the `expected` types the message says it is; MessageError when it is none of them.

    The version comes first: a message of an unknown version has no known meaning.
    """
    message = _message(document)
    _one_of(message, "dcpi_version", DCPI_VERSIONS)
    return _one_of(message, "message_type", expected)


def ignored_members(document: object, message_type: str) -> tuple[str, ...]:
    """Pointers of the members that `validate` leaves out of a valid message of that type."""
    if message_type not in FULL:
        return ()
    faults = _validator(f"{message_type}.full").iter_errors(_message(document))
    return tuple(dict.fromkeys(pointer(_member_of(fault)) for fault in faults))


def _message(document: object) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise MessageError(f"the body is {_kind(document)}, not an object")
    return document


def _one_of(message: dict[str, Any], name: str, expected: Collection[str]) -> str:
    if name not in message:
        raise MessageError(f"{name} is missing", pointer((name,)), "missing")
    value = message[name]
    if not isinstance(value, str):
        text = f"{name} is {_shown(value)}, not of type string"
        raise MessageError(text, pointer((name,)), "type", _shown(value))
    if value not in expected:
        choices = " or ".join(expected)
        text = f"{name} is {_shown(value)}, not {choices}"
        raise MessageError(text, pointer((name,)), "choice", _shown(value))
    return value


def _without(message: dict[str, Any], faults: Iterable[ValidationError]) -> dict[str, Any]:
    """A copy less the members that the faults name; the same message when there are none."""
    places = {_member_of(fault) for fault in faults}
    kept = copy.deepcopy(message) if places else message
    for *parents, name in places:
        holder = functools.reduce(lambda value, key: value[key], parents, kept)
        holder.pop(name, None)
    return kept


def _member_of(fault: ValidationError) -> tuple[str, ...]:
    """The names that lead to the member at fault; to the whole array where it is an item of one."""
    return tuple(itertools.takewhile(lambda key: isinstance(key, str), fault.absolute_path))


def _raise_first(faults: Iterable[ValidationError]) -> None:
    """Raise the fault nearest to the top; of several there the first by name, its type first."""
    found = [(_place(fault), fault) for fault in faults]
    if found:
        place, fault = min(found, key=_rank)
        kind = _FAULTS.get(str(fault.validator))
        raise MessageError(_text(fault, place), place, kind, _shown(fault.instance))


def _rank(found: tuple[str, ValidationError]) -> tuple[int, str, bool]:
    place, fault = found
    return place.count("/"), place, fault.validator != "type"


def _place(fault: ValidationError) -> str:
    """The pointer of the member at fault; of the missing one where one is missing."""
    keys = list(fault.absolute_path)
    if fault.validator == "required":
        keys.append(next(name for name in fault.validator_value if name not in fault.instance))
    return pointer(keys)


def _text(fault: ValidationError, place: str) -> str:
    name = place.removeprefix("/").replace("/", ".") or "the body"
    describe = _TEXTS.get(str(fault.validator), _breaks)
    return f"{name} {describe(fault)}"


def _breaks(fault: ValidationError) -> str:
    return f"breaks the rule {fault.validator} of the schema"


def _type_text(fault: ValidationError) -> str:
    allowed = fault.validator_value
    names = [allowed] if isinstance(allowed, str) else allowed
    return f"is {_shown(fault.instance)}, not of type {' or '.join(names)}"


_FAULTS: dict[str, Fault] = {
    "required": "missing",
    "type": "type",
    "enum": "choice",
    "const": "choice",
    "minimum": "range",
    "exclusiveMinimum": "range",
    "maximum": "range",
    "minLength": "format",
    "maxLength": "format",
    "not": "format",
    "format": "format",
}
_TEXTS: dict[str, Callable[[ValidationError], str]] = {
    "required": lambda _: "is missing",
    "type": _type_text,
    "enum": lambda fault: (
        f"is {_shown(fault.instance)}, not {' or '.join(map(str, fault.validator_value))}"
    ),
    "const": lambda fault: f"is {_shown(fault.instance)}, not {fault.validator_value}",
    "minimum": lambda fault: f"is {fault.instance}, below {fault.validator_value}",
    "exclusiveMinimum": lambda fault: f"is {fault.instance}, not above {fault.validator_value}",
    "maximum": lambda fault: f"is {fault.instance}, above {fault.validator_value}",
    "minLength": lambda _: "is empty",
    "maxLength": lambda fault: f"is longer than {fault.validator_value} characters",
    "minItems": lambda fault: f"has fewer than {fault.validator_value} items",
    "maxItems": lambda fault: f"has more than {fault.validator_value} items",
    "not": lambda fault: f"is {_shown(fault.instance)}, which holds a control character",
    "format": lambda fault: f"is {_shown(fault.instance)}, not an RFC 3339 {fault.validator_value}",
}


def _kind(value: object) -> str:
    return _KINDS.get(type(value), type(value).__name__)


def _shown(value: object) -> str:
    """A scalar as it stands, shortened; of anything bigger only its kind."""
    if isinstance(value, str):
        cut = value if len(value) <= _QUOTED_CHARACTERS else value[:_QUOTED_CHARACTERS] + "…"
        return repr(cut)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return _kind(value)


def _is_number(_: TypeChecker, value: object) -> bool:
    """A finite number: NaN would pass every bound."""
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


def _is_date_time(value: object) -> bool:
    """The library's check, less the line end that its pattern lets pass."""
    known = Draft202012Validator.FORMAT_CHECKER.conforms(value, "date-time")
    return known and not (isinstance(value, str) and value.endswith("\n"))


_FORMATS = FormatChecker(formats=())
_FORMATS.checks("date-time")(_is_date_time)

_Validator = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("number", _is_number),
    format_checker=_FORMATS,
)


@functools.cache
def _validator(name: str) -> Any:
    """A validator of `messages/<name>`; ValueError when there is no such schema."""
    try:
        schema = schemas.schema(f"messages/{name}")
    except FileNotFoundError:
        raise ValueError(f"there is no message type {name!r}") from None
    return _Validator(schema, format_checker=_FORMATS)
