"""YAML files that somebody wrote by hand: read strictly, and every fault with its file and line."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import yaml
from jsonschema.exceptions import ValidationError

import schemas
from bmc_ext.errors import ConfigurationError

_LONGEST = 16 << 20  # characters

_MOST_NODES = 100_000
"""Far above any configuration; a few lines of aliases of aliases stand for billions."""


class _Loader(yaml.SafeLoader):
    """No key twice, of which the first would be dropped in silence; no document without end."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._sizes: dict[yaml.Node, int] = {}

    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        is_alias = self.check_event(yaml.AliasEvent)
        node = super().compose_node(parent, index)
        if node is not None and not is_alias:
            self._sizes[node] = self._size(node)
        return node

    def _size(self, node: yaml.Node) -> int:
        """Nodes in it, each alias with all that it stands for."""
        parts: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            _refuse_key_twice(node)
            parts = [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            parts = node.value
        if any(part not in self._sizes for part in parts):
            raise _fault(node, "a part of it holds itself")
        size = 1 + sum(self._sizes[part] for part in parts)
        if size > _MOST_NODES:
            raise _fault(node, "its aliases make it too large")
        return size


def _refuse_key_twice(node: yaml.MappingNode) -> None:
    seen = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        if (key.tag, key.value) in seen:
            raise _fault(key, f"{key.value!r} is given twice")
        seen.add((key.tag, key.value))


def _fault(node: yaml.Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


def read_yaml(path: Path) -> Any:
    """The file's one document; ConfigurationError names the file, the line and the reason.

    Dates are text, as in JSON.
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(_LONGEST + 1)
        if len(text) > _LONGEST:
            raise ConfigurationError(f"{path}: longer than {_LONGEST >> 20} MiB")
        return _plain(yaml.load(text, _Loader))
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f":{error.problem_mark.line + 1}"
        raise ConfigurationError(f"{path}{line}: not YAML: {error.problem}") from error
    except RecursionError as error:
        raise ConfigurationError(f"{path}: not YAML: nested too deeply") from error
    except (yaml.YAMLError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigurationError(f"{path}: not YAML: {reason}") from error


def explained(error: ValidationError) -> tuple[str, str]:
    """The place of a fault and what is wrong there; of alternatives, of the one that was meant."""
    text = schemas.complaint(error)
    if error.validator == "oneOf":
        choices = error.validator_value
        of_other_type = {f.schema_path[0] for f in error.context if "type" in f.relative_path}
        meant = [f for f in error.context if f.schema_path[0] not in of_other_type]
        if "properties" not in choices[0]:
            *names, last = (name for choice in choices for name in choice["required"])
            text = f"one of {', '.join(names)} and {last} is needed, and only one"
        elif meant:
            error, text = meant[0], schemas.complaint(meant[0])
        else:
            kinds = [choice["properties"]["type"] for choice in choices]
            types = ", ".join(
                name for kind in kinds for name in kind.get("enum", [kind.get("const")])
            )
            text = f"type {error.instance['type']!r} is none of {types}"
    return "/".join(str(part) for part in error.absolute_path) or "top level", text


def _plain(value: object) -> Any:
    """YAML's dates as the text that JSON knows."""
    if isinstance(value, dict):
        return {key: _plain(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    return value.isoformat() if isinstance(value, date) else value
