"""A device profile as text: YAML read with line numbers, checked against the published schema.

A vendor's file is untrusted input: only plain YAML values are constructed, and what no honest
profile has is refused before anything pays for it: aliases (a few lines of them expand to
gigabytes), deep nesting and endless lists (they take minutes), numbers of many digits or without
end, characters that a terminal would obey, keys that are no text or given twice (YAML would let the
last one win).
"""

from __future__ import annotations

import difflib
import functools
import json
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError, validators
from jsonschema.exceptions import best_match

from drivers.errors import ProfileError

_MAX_BYTES = 1_000_000
_MAX_DEPTH = 20
_MAX_VALUES = 20_000
_MAX_TEXT = 4_000
_MAX_DIGITS = 40
# Beyond it no register holds a number and no unit has a use for one; well inside a double.
_MAX_NUMBER = 1e30
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_TEXT = "tag:yaml.org,2002:str"
# What YAML 1.1 makes other numbers of than a reader does: 0010 is 8, 1:30 is 90.
_OTHER_BASE = re.compile(r"[-+]?0[0-9_]|[^:]*:")

_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


# JSON Schema takes 8.0 for an integer; an address is not written like that.
_Validator = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    ),
)


@functools.cache
def profile_validator() -> Draft202012Validator:
    """A validator of `devices/device-profile.schema.json`."""
    file = resources.files("drivers").joinpath("devices/device-profile.schema.json")
    validator: Draft202012Validator = _Validator(json.loads(file.read_text("utf-8")))
    return validator


class ProfileDocument:
    """The parsed file: `content`, and errors that know their line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        text = read_text(path)
        try:
            self._root, content = _parse(text)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            line = mark.line + 1 if mark is not None else 1
            raise ProfileError(f"{path}:{line}: not YAML: {error.problem}") from error
        except yaml.YAMLError as error:
            # The reader counts characters, not lines.
            before = text[: getattr(error, "position", 0)]
            reason = str(error).partition("\n")[0]
            raise ProfileError(f"{path}:{before.count(chr(10)) + 1}: not YAML: {reason}") from error
        except ValueError as error:
            raise ProfileError(f"{path}:1: not a profile: {error}") from error
        self._refuse_duplicate_keys(self._root)
        self._refuse_endless_numbers((), content)
        self.content: dict[str, Any] = self._checked(content)

    def error(self, place: Iterable[str | int], reason: str) -> ProfileError:
        """A ProfileError that names the file, the line of `place` and the reason."""
        steps = list(place)
        where = "/".join(str(step) for step in steps) or "top level"
        return ProfileError(f"{self.path}:{self._line(steps)}: {where}: {reason}")

    def check(self, place: Sequence[str | int], schema: Mapping[str, Any]) -> None:
        """Raise a ProfileError unless what stands at `place` is as `schema` says."""
        found: Any = self.content
        for step in place:
            found = found[step]
        error = best_match(_Validator(schema).iter_errors(found))
        if error is not None:
            raise self.error([*place, *_place(error)], _reason(error))

    def _refuse_endless_numbers(self, place: tuple[str | int, ...], content: object) -> None:
        if isinstance(content, dict):
            for key, value in content.items():
                self._refuse_endless_numbers((*place, key), value)
        elif isinstance(content, list):
            for index, value in enumerate(content):
                self._refuse_endless_numbers((*place, index), value)
        elif isinstance(content, (int, float)) and not abs(content) <= _MAX_NUMBER:
            raise self.error(place, "a number that no register holds")

    def _checked(self, content: object) -> dict[str, Any]:
        error = best_match(profile_validator().iter_errors(content))
        if error is not None:
            raise self.error(_place(error), _reason(error))
        assert isinstance(content, dict)
        return content

    def _line(self, steps: list[str | int]) -> int:
        """The line of the deepest part of `steps` that the file has, counted from 1."""
        node: yaml.Node | None = self._root
        line = 1
        for step in steps:
            node, line = _child(node, step, line)
            if node is None:
                break
        return line

    def _refuse_duplicate_keys(self, node: yaml.Node | None) -> None:
        if isinstance(node, yaml.SequenceNode):
            for entry in node.value:
                self._refuse_duplicate_keys(entry)
        if not isinstance(node, yaml.MappingNode):
            return
        seen: set[str] = set()
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:
                raise ProfileError(f"{self.path}:{line}: {key.value!r} is given twice")
            seen.add(key.value)
            self._refuse_duplicate_keys(value)


def read_text(path: Path) -> str:
    """What a file holds; ProfileError when it is too large, no file, or no UTF-8 text."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ProfileError(f"{path}: not a file")
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ProfileError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise ProfileError(f"{str(path)!r}: {error}") from error
    if len(data) > _MAX_BYTES:
        raise ProfileError(f"{path}:1: larger than {_MAX_BYTES} bytes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProfileError(f"{path}:1: not UTF-8 text: {error.reason}") from error


def _parse(text: str) -> tuple[yaml.Node | None, object]:
    _refuse_hostile(text)
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None, None
        _refuse_strange_values(node)
        return node, loader.construct_document(node)
    finally:
        loader.dispose()


def _refuse_hostile(text: str) -> None:
    """Stop at the first event that no honest profile has, before the parser pays for the rest."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_Loader)):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            raise _marked("aliases are refused", event)
        if depth > _MAX_DEPTH:
            raise _marked(f"nested deeper than {_MAX_DEPTH} levels", event)
        if count > _MAX_VALUES:
            raise _marked(f"more than {_MAX_VALUES} values", event)


def _refuse_strange_values(node: yaml.Node) -> None:
    """Every scalar is a short text or a number of few digits, and every key a text."""
    if isinstance(node, yaml.SequenceNode):
        for entry in node.value:
            _refuse_strange_values(entry)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag != _TEXT:
                raise _marked("a key must be a plain word; put it in quotes if it is one", key)
            _refuse_strange_scalar(key)
            _refuse_strange_values(value)
    elif isinstance(node, yaml.ScalarNode):
        _refuse_strange_scalar(node)


def _refuse_strange_scalar(node: yaml.ScalarNode) -> None:
    text: str = node.value
    number = node.tag in _NUMBERS
    if len(text) > (_MAX_DIGITS if number else _MAX_TEXT):
        raise _marked("a number of so many digits" if number else "a text so long", node)
    if number and _OTHER_BASE.match(text):
        raise _marked(
            f"{text} is read as base 8 or 60: write a number without leading 0 or ':'", node
        )
    if number and text.strip("+-").lower() in (".inf", ".nan"):
        raise _marked(f"{text} is no number to reckon with", node)
    strange = next((c for c in text if not (c.isprintable() or c in "\n\t")), None)
    if strange is not None:
        raise _marked(f"character U+{ord(strange):04X} does not belong in a profile", node)


def _marked(problem: str, at: yaml.Event | yaml.Node) -> yaml.MarkedYAMLError:
    mark: Any = at.start_mark  # libyaml has its own Mark
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _child(node: yaml.Node | None, step: str | int, line: int) -> tuple[yaml.Node | None, int]:
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        entry = node.value[step]
        return entry, entry.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(step):
                return value, key.start_mark.line + 1
    return None, line


def _place(error: ValidationError) -> list[str | int]:
    """Where the fault is, down to the key when it is the key that is wrong."""
    place = list(error.absolute_path)
    if "propertyNames" in error.absolute_schema_path and isinstance(error.instance, str):
        place.append(error.instance)
    elif error.validator == "additionalProperties" and isinstance(error.schema, dict):
        known = error.schema.get("properties", {})
        place += [key for key in error.instance if key not in known][:1]
    return place


def _reason(error: ValidationError) -> str:
    """What is wrong in one line; the schema's own words, where it has some, say it best."""
    schema = error.schema if isinstance(error.schema, dict) else {}
    stated = schema.get("errorMessage")
    if isinstance(stated, dict):
        stated = stated.get(error.validator)
    if stated is not None:
        return f"{_short(error.instance)}: {stated}"
    if error.validator == "not" and not error.validator_value:
        return "a device of this protocol has no such member"
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        return _unknown_member(error.instance, schema.get("properties", {}))
    wants_number = error.validator == "type" and error.validator_value == "number"
    if wants_number and isinstance(error.instance, str):
        return f"{error.instance!r} is text, not a number (YAML wants 3.6e+6, not 3.6e6)"
    return str(error.message).replace("\n", " ")[:300]


def _unknown_member(instance: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    name = next(key for key in instance if key not in known)
    alike = difflib.get_close_matches(name, known, n=1)
    guess = f" (did you mean {alike[0]!r}?)" if alike else ""
    return f"no member {_short(name)} here{guess}; there are: {', '.join(known)}"


def _short(instance: object) -> str:
    text = repr(instance)
    return text if len(text) <= 60 else f"{text[:60]}…"
