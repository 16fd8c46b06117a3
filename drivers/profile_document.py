"""A device profile as text: YAML read with line numbers, checked against the published schema.

A vendor's file is untrusted input: only plain YAML values are constructed; aliases are refused (a
few lines of them expand to gigabytes), deep nesting (it takes the parser minutes) and duplicate
keys (YAML would let the last one win).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match

from drivers.errors import ProfileError

_MAX_BYTES = 1_000_000
_MAX_DEPTH = 20

_Loader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@functools.cache
def profile_validator() -> Draft202012Validator:
    """A validator of `devices/device-profile.schema.json`."""
    file = resources.files("drivers").joinpath("devices/device-profile.schema.json")
    return Draft202012Validator(json.loads(file.read_text("utf-8")))


class ProfileDocument:
    """The parsed file: `content`, and errors that know their line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        text = _read(path)
        try:
            self._root, content = _parse(text)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            line = mark.line + 1 if mark is not None else 1
            raise ProfileError(f"{path}:{line}: not YAML: {error.problem}") from error
        except yaml.YAMLError as error:
            raise ProfileError(f"{path}:1: not YAML: {error}") from error
        except ValueError as error:
            raise ProfileError(f"{path}:1: not a profile: {error}") from error
        self._refuse_duplicate_keys(self._root)
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
        error = best_match(Draft202012Validator(schema).iter_errors(found))
        if error is not None:
            raise self.error([*place, *error.absolute_path], _reason(error))

    def _checked(self, content: object) -> dict[str, Any]:
        error = best_match(profile_validator().iter_errors(content))
        if error is not None:
            raise self.error(error.absolute_path, _reason(error))
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
            if not isinstance(key, yaml.ScalarNode):
                raise ProfileError(f"{self.path}:{line}: a key must be a plain word")
            if key.value in seen:
                raise ProfileError(f"{self.path}:{line}: {key.value!r} is given twice")
            seen.add(key.value)
            self._refuse_duplicate_keys(value)


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
        if len(data) > _MAX_BYTES:
            raise ProfileError(f"{path}:1: larger than {_MAX_BYTES} bytes")
        return data.decode("utf-8")
    except OSError as error:
        raise ProfileError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ProfileError(f"{path}:1: not UTF-8 text: {error.reason}") from error


def _parse(text: str) -> tuple[yaml.Node | None, object]:
    _refuse_hostile(text)
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        return node, None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()


def _refuse_hostile(text: str) -> None:
    """Stop at the first event that no honest profile has, before the parser pays for the rest."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        problem = "aliases are refused" if isinstance(event, yaml.AliasEvent) else None
        if depth > _MAX_DEPTH:
            problem = f"nested deeper than {_MAX_DEPTH} levels"
        if problem is not None:
            raise yaml.MarkedYAMLError(
                problem=problem,
                problem_mark=event.start_mark,  # type: ignore[arg-type]  # libyaml has its own Mark
            )


def _child(node: yaml.Node | None, step: str | int, line: int) -> tuple[yaml.Node | None, int]:
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        entry = node.value[step]
        return entry, entry.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(step):
                return value, key.start_mark.line + 1
    return None, line


def _reason(error: ValidationError) -> str:
    """What is wrong in one line; a number that YAML read as text is a trap worth naming."""
    if error.validator == "not" and not error.validator_value:
        return "a device of this protocol has no such member"
    wants_number = error.validator == "type" and error.validator_value == "number"
    if wants_number and isinstance(error.instance, str):
        return f"{error.instance!r} is text, not a number (YAML wants 3.6e+6, not 3.6e6)"
    return str(error.message).replace("\n", " ")[:300]
