"""What the targets of all protocols have in common: `SCHEME://HOST:PORT?option=value`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from drivers.errors import TargetError


@dataclass(frozen=True, slots=True)
class TargetUrl:
    """A target's parts; `text` is what may be shown, without the values of secret options."""

    scheme: str
    host: str
    port: int | None
    path: str
    options: dict[str, str]
    text: str

    def number(self, option: str, low: int, high: int) -> int | None:
        """The value of an option that is a whole number, None without it."""
        value = self.options.get(option)
        if value is None:
            return None
        if not (value.isascii() and value.isdecimal() and low <= int(value) <= high):
            raise TargetError(
                f"target {self.text!r}: {option} {value!r} is not a number from {low} to {high}"
            )
        return int(value)

    def choice(self, option: str, known: Collection[str], default: str) -> str:
        """The value of an option that has a few words."""
        value = self.options.get(option, default)
        if value not in known:
            raise TargetError(
                f"target {self.text!r}: {option} {value!r} is none of {', '.join(known)}"
            )
        return value


def split_target(
    text: str, form: str, options: Collection[str], *, secret: Collection[str] = ()
) -> TargetUrl:
    """The parts of a target of the `form` that errors show; TargetError names what is wrong.

    The values of `secret` options never appear in an error or in `TargetUrl.text`.
    """
    shown = masked(text, secret)
    try:
        parts = urlsplit(text)
        port = parts.port
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise TargetError(f"target {shown!r} is not {form}: {error}") from None
    if parts.scheme not in [known.partition(":")[0] for known in form.split(" or ")]:
        raise TargetError(f"target {shown!r} is not {form}")
    for name, _ in pairs:
        if name not in options:
            raise TargetError(
                f"target {shown!r}: unknown option {name!r} (known: {_list(options)})"
            )
    if len(dict(pairs)) < len(pairs) or parts.fragment or parts.username is not None:
        raise TargetError(f"target {shown!r} is not {form}")
    host = parts.hostname or ""
    return TargetUrl(parts.scheme, host, port, unquote(parts.path), dict(pairs), shown)


def masked(text: str, secret: Collection[str]) -> str:
    """`text` with *** for the values of the options named `secret`."""
    head, mark, query = text.partition("?")
    shown = [
        f"{pair.partition('=')[0]}=***" if pair.partition("=")[0] in secret else pair
        for pair in query.split("&")
    ]
    return head + mark + "&".join(shown)


def _list(options: Collection[str]) -> str:
    return ", ".join(options) or "none"
