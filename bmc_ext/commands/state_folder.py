"""The folder that `--state-dir` names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


class StateFolder(click.Path):
    """An absolute path; an empty text, as of a variable that is not set, is no folder."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path; click.BadParameter."""
        if not str(value):
            self.fail("an empty text names no folder", param, ctx)
        return Path(value).absolute()
