"""One line of text from an instrument, taken apart into numbers by a small, bounded grammar.

No regular expression comes from a profile: a vendor's file cannot make the driver think for ever.
"""

from __future__ import annotations

import functools
import math
import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Control characters by their names in ISO/IEC 6429; a profile holds none itself.
_CONTROL = {
    "<SOH>": "\x01", "<STX>": "\x02", "<ETX>": "\x03", "<EOT>": "\x04", "<ENQ>": "\x05",
    "<ACK>": "\x06", "<HT>": "\t", "<LF>": "\n", "<CR>": "\r", "<NAK>": "\x15", "<ESC>": "\x1b",
}  # fmt: skip

_NUMBER = re.compile(r"[+-]?(\d{1,20}(\.\d{0,20})?|\.\d{1,20})([eE][+-]?\d{1,3})?")


class ReplyError(ValueError):
    """A line that is not what the profile says; the text says where."""


@dataclass(frozen=True, slots=True)
class Field:
    """The number in one field of a line.

    `suffix` must end the field and is cut off. The value is there only while the field number
    `status_field` holds one of `status_ok`; fields that hold one of `absent_words` have none.
    """

    field: int = 0
    suffix: str = ""
    status_field: int | None = None
    status_ok: tuple[str, ...] = ()
    absent_words: tuple[str, ...] = ()

    def number(self, fields: list[str]) -> float:
        """The number, NaN when there is none; ReplyError when the fields are others."""
        status = None if self.status_field is None else _at(fields, self.status_field)
        if status is not None and status not in self.status_ok:
            return math.nan
        text = _at(fields, self.field)
        if text in self.absent_words:
            return math.nan
        if not text.endswith(self.suffix):
            raise ReplyError(f"field {self.field} is {text!r}, not a number with {self.suffix!r}")
        number = text.removesuffix(self.suffix).strip()
        if not _NUMBER.fullmatch(number):
            raise ReplyError(f"field {self.field} is {text!r}, not a number")
        return float(number)


@dataclass(frozen=True, slots=True)
class Form:
    """What a line looks like: it `begins` so, its fields are told apart by `separator`.

    An empty separator is any white space. `checksum` "nmea" is $…*HH: the exclusive or of the
    characters between (NMEA 0183).
    """

    begins: str = ""
    separator: str = ","
    checksum: str | None = None

    def fields(self, line: str) -> list[str]:
        """The fields of a line, without white space around them; ReplyError when it is another."""
        if self.checksum == "nmea":
            line = _checked(line)
        if not line.startswith(self.begins):
            raise ReplyError(f"{line[:40]!r} does not begin with {self.begins!r}")
        rest = line[len(self.begins) :]
        return [part.strip() for part in rest.split(self.separator or None)]


def _at(fields: list[str], number: int) -> str:
    if number >= len(fields):
        raise ReplyError(f"no field {number}, there are {len(fields)}")
    return fields[number]


def _checked(line: str) -> str:
    body, star, digits = line.rpartition("*")
    if not star or not body.startswith("$") or not re.fullmatch("[0-9A-Fa-f]{2}", digits):
        raise ReplyError(f"{line[:40]!r} has no checksum")
    expected = functools.reduce(operator.xor, body[1:].encode("ascii"), 0)
    if int(digits, 16) != expected:
        raise ReplyError(f"checksum {digits} instead of {expected:02X}")
    return body


def plain(text: str) -> str:
    """A profile's text with control characters for their names, such as <CR>."""
    for name, character in _CONTROL.items():
        text = text.replace(name, character)
    return text


def form_of(at: Mapping[str, Any]) -> Form:
    """The form of a point's line."""
    return Form(plain(at.get("begins", "")), plain(at.get("separator", ",")), at.get("checksum"))


def field_of(at: Mapping[str, Any]) -> Field:
    """A point's field."""
    status = at.get("status", {})
    return Field(
        at.get("field", 0),
        at.get("suffix", ""),
        status.get("field"),
        tuple(status.get("ok", ())),
        tuple(at.get("absent_words", ())),
    )
