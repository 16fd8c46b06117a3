"""The name by which an operator tells this service from its like: in one file, until changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from bmc_ext.errors import StateError

MAX_LENGTH: Final = 128


class ServiceIdentification:
    """A text of up to 128 printable characters; empty is none. StateError where a disk refuses."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._text = path.read_text(encoding="utf-8") if path.exists() else ""
        except (OSError, UnicodeDecodeError) as error:
            raise StateError(f"{path}: {error}") from error

    def __call__(self) -> str:
        """The text now."""
        return self._text

    def change(self, text: str) -> None:
        """Keep another, on disk before this returns; ValueError for one that is not allowed."""
        if len(text) > MAX_LENGTH or not text.isprintable():
            raise ValueError(f"it is not up to {MAX_LENGTH} printable characters")
        new = self._path.with_suffix(".new")
        try:
            with new.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
        except OSError as error:
            raise StateError(f"{self._path}: {error.strerror}") from error
        self._text = text
