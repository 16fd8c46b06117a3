"""JSON Pointers (RFC 6901): how an error names a member of a message."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["pointer"]


def pointer(keys: Iterable[str | int]) -> str:
    """The pointer along these member names and indices; "" is the whole document.

    What UTF-8 cannot carry, half of a surrogate pair in a name, is written as a question mark.
    """
    escaped = (str(key).replace("~", "~0").replace("/", "~1") for key in keys)
    path = "".join(f"/{key}" for key in escaped)
    return path.encode("utf-8", "replace").decode("utf-8")
