"""Which messages of DMTF's Base registry are used here, and how many arguments each takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

PREFIX: Final = "Base.1.19"
PUBLISHED: Final = "https://redfish.dmtf.org/registries/Base.1.19.0.json"

ARGUMENTS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "AccessDenied": 1,
        "ActionParameterMissing": 2,
        "ActionParameterUnknown": 2,
        "ActionParameterValueError": 2,
        "ActionParameterValueFormatError": 3,
        "ActionParameterValueNotInList": 3,
        "ActionParameterValueOutOfRange": 3,
        "ActionParameterValueTypeError": 3,
        "CreateLimitReachedForResource": 0,
        "GeneralError": 0,
        "HeaderInvalid": 1,
        "HeaderMissing": 1,
        "InsufficientPrivilege": 0,
        "InternalError": 0,
        "MalformedJSON": 0,
        "NoOperation": 0,
        "NoValidSession": 0,
        "OperationNotAllowed": 0,
        "OperationTimeout": 0,
        "PasswordChangeRequired": 1,
        "PreconditionFailed": 0,
        "PreconditionRequired": 0,
        "PropertyMissing": 1,
        "PropertyNotWritable": 1,
        "PropertyUnknown": 1,
        "PropertyValueError": 1,
        "PropertyValueFormatError": 2,
        "PropertyValueIncorrect": 2,
        "PropertyValueNotInList": 2,
        "PropertyValueOutOfRange": 2,
        "PropertyValueTypeError": 2,
        "QueryCombinationInvalid": 0,
        "QueryNotSupported": 0,
        "QueryNotSupportedOnOperation": 0,
        "QueryNotSupportedOnResource": 0,
        "QueryParameterOutOfRange": 3,
        "QueryParameterValueError": 1,
        "QueryParameterValueFormatError": 2,
        "QueryParameterValueTypeError": 2,
        "ResourceAlreadyExists": 3,
        "ResourceInUse": 0,
        "ResourceMissingAtURI": 1,
        "ServiceTemporarilyUnavailable": 1,
        "Success": 0,
        "UnrecognizedRequestBody": 0,
    }
)
"""Arguments by key, as the registry Base 1.19.0 declares them."""

_CRITICAL: Final = frozenset(
    {
        "AccessDenied",
        "ActionParameterMissing",
        "CreateLimitReachedForResource",
        "GeneralError",
        "HeaderInvalid",
        "HeaderMissing",
        "InsufficientPrivilege",
        "InternalError",
        "MalformedJSON",
        "NoValidSession",
        "OperationNotAllowed",
        "PasswordChangeRequired",
        "PreconditionFailed",
        "PreconditionRequired",
        "ResourceAlreadyExists",
        "ResourceMissingAtURI",
        "ServiceTemporarilyUnavailable",
    }
)
"""What has that MessageSeverity in the registry; but for Success, the others are warnings."""

_OF_ACTIONS: Final[Mapping[str, tuple[str, tuple[int | str, ...]]]] = {
    "PropertyMissing": ("ActionParameterMissing", ("action", 0)),
    "PropertyUnknown": ("ActionParameterUnknown", ("action", 0)),
    "PropertyValueError": ("ActionParameterValueError", (0, "action")),
    "PropertyValueIncorrect": ("ActionParameterValueError", (0, "action")),
    "PropertyValueFormatError": ("ActionParameterValueFormatError", (0, 1, "action")),
    "PropertyValueNotInList": ("ActionParameterValueNotInList", (0, 1, "action")),
    "PropertyValueOutOfRange": ("ActionParameterValueOutOfRange", (0, 1, "action")),
    "PropertyValueTypeError": ("ActionParameterValueTypeError", (0, 1, "action")),
}
"""What a fault of a property is called where the property is a parameter of an action."""


def severity(key: str) -> str:
    """The MessageSeverity of a message that refuses something."""
    return "Critical" if key in _CRITICAL else "Warning"


def fitting(key: str, arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The message with its arguments; GeneralError where their number does not fit it."""
    if ARGUMENTS.get(key) == len(arguments):
        return key, list(arguments)
    return "GeneralError", []


def of_action(key: str, arguments: Sequence[str], action: str) -> tuple[str, list[str]]:
    """The message about a parameter of an action such as `Manager.Reset`."""
    if key not in _OF_ACTIONS or ARGUMENTS[key] != len(arguments):
        return key, list(arguments)
    new, order = _OF_ACTIONS[key]
    return new, [action if isinstance(place, str) else arguments[place] for place in order]
