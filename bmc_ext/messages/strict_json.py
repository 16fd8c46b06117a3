"""JSON as RFC 8259 has it and nothing beside it: one reading of a body, or one clear refusal.

The standard library takes duplicate keys, NaN, 1e400 and lone surrogates. Two readers of such a
body can differ in what they see, which a plant under control cannot afford.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator

import orjson

from bmc_ext.errors import MessageError
from bmc_ext.messages.pointer import pointer

__all__ = ["MAX_DEPTH", "loads"]

MAX_DEPTH = 64
"""Levels of nesting taken by default; the deepest message of DCPI has five."""

# A whole string, closed or not, or one bracket. Possessive, so that no input makes it backtrack.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[][{}]', re.DOTALL)

# Digits of the largest double; a longer integer cannot be a finite number.
_MAX_DIGITS = 309

_QUOTED_CHARACTERS = 80


def loads(data: bytes, *, max_depth: int = MAX_DEPTH) -> object:
    """The document that `data` holds; integers beyond 64 bits become the nearest double.

    Raises MessageError on an empty body, a syntax error or anything behind the document, invalid
    UTF-8, a byte order mark, duplicate keys, NaN and Infinity, numbers beyond a double, lone
    surrogates, and more than `max_depth` levels. Its pointer names the member where there is one.
    """
    if not data.strip(b" \t\r\n"):
        raise MessageError("the body is empty: a JSON document is expected")
    _check_depth(data, max_depth)
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise _explained(data, error) from None
    _check_duplicates(data)
    return document


def _check_depth(data: bytes, max_depth: int) -> None:
    """Count brackets outside of strings: the parsers behind this recurse."""
    depth = 0
    for token in _TOKEN.finditer(data):
        first = data[token.start()]
        if first in b"[{":
            depth += 1
            if depth > max_depth:
                raise MessageError(f"the JSON is nested deeper than {max_depth} levels")
        elif first in b"]}":
            depth -= 1


class _Repeated(dict[str, object]):
    """An object in which `key` stood more than once."""

    key = ""


class _Refused(str):
    """Stands in a parsed document where a value is no JSON; its text says why."""

    __slots__ = ()


def _check_duplicates(data: bytes) -> None:
    found = False

    def members(pairs: list[tuple[str, object]]) -> dict[str, object]:
        nonlocal found
        parsed = dict(pairs)
        if len(parsed) == len(pairs):
            return parsed
        found = True
        repeated = _Repeated(parsed)
        names = [name for name, _ in pairs]
        repeated.key = next(name for name in names if names.count(name) > 1)
        return repeated

    document = json.loads(data, object_pairs_hook=members, parse_int=str, parse_float=str)
    if not found:
        return
    for path, value in _walk(document, ()):
        if isinstance(value, _Repeated):
            raise MessageError(
                f"the JSON has the member {_quoted(value.key)} twice in one object",
                pointer((*path, value.key)),
            )


def _explained(data: bytes, error: orjson.JSONDecodeError) -> MessageError:
    """Why a strict parser refused: the lenient one, with its eyes open, often knows the member."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as problem:
        return MessageError(f"the body is not JSON in UTF-8: invalid at byte {problem.start}")
    try:
        document = json.loads(
            text, parse_constant=_refused_constant, parse_float=_real, parse_int=_integer
        )
    except ValueError:
        return MessageError(f"the body is not JSON: {error}")
    for path, value in _walk(document, ()):
        problem_text = _problem(value)
        if problem_text:
            return MessageError(f"the JSON holds {problem_text}", pointer(path))
    return MessageError(f"the body is not JSON: {error}")


def _refused_constant(name: str) -> _Refused:
    return _Refused(f"{name}, which is no JSON number")


def _real(text: str) -> object:
    value = float(text)
    return value if math.isfinite(value) else _beyond(text)


def _integer(text: str) -> object:
    if len(text.lstrip("-")) > _MAX_DIGITS:
        return _beyond(text)
    return _real(text)


def _beyond(text: str) -> _Refused:
    shown = text if len(text) <= _QUOTED_CHARACTERS else f"of {len(text)} characters"
    return _Refused(f"the number {shown}, which is beyond the range of a double")


def _problem(value: object) -> str | None:
    if isinstance(value, _Refused):
        return str(value)
    if isinstance(value, str) and _is_torn(value):
        return "half of a surrogate pair in a string"
    if isinstance(value, dict) and any(_is_torn(name) for name in value):
        return "half of a surrogate pair in a member's name"
    return None


def _is_torn(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _quoted(name: str) -> str:
    shown = name if len(name) <= _QUOTED_CHARACTERS else name[:_QUOTED_CHARACTERS] + "…"
    return repr(shown)


def _walk(
    value: object, path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], object]]:
    """Every value with the keys that lead to it, parents first."""
    yield path, value
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _walk(member, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _walk(item, (*path, index))
