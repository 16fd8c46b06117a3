"""Query parameters of a GET (DSP0266 7.3), parsed once and applied to the answer's body.

They act in the order of DSP0266 7.3.1: $filter, $skip, $top, $expand, excerpt, $select.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bmc_ext.redfish.errors import RedfishError
from bmc_ext.redfish.filter_expression import Test, parse_filter

Body = dict[str, Any]
Reader = Callable[[str], Body | None]
"""The resource at a path as this client would get it; None when it would be refused."""

MAX_LEVELS = 6
MAX_RESOURCES = 20_000
"""What one $expand may gather, so that cycles of links end."""

FEATURES: dict[str, Any] = {
    "ExpandQuery": {
        "ExpandAll": True, "Levels": True, "Links": True, "NoLinks": True, "MaxLevels": MAX_LEVELS
    },
    "FilterQuery": True,
    "FilterQueryComparisonOperations": True,
    "FilterQueryCompoundOperations": True,
    "OnlyMemberQuery": True,
    "SelectQuery": True,
    "ExcerptQuery": True,
    "TopSkipQuery": True,
    "MultipleHTTPRequests": False,
}  # fmt: skip
"""ProtocolFeaturesSupported of the ServiceRoot."""

_KNOWN = ("$filter", "$skip", "$top", "$expand", "$select", "only", "excerpt")
_EXPAND = re.compile(r"([*.~])(?:\(\$levels=([0-9]{1,9})\))?")
_COUNT = re.compile(r"[0-9]{1,9}")
_PATH = re.compile(r"[A-Za-z@][\w@.]*(?:/[A-Za-z@][\w@.]*)*")
_ALWAYS = (
    "@odata.id", "@odata.type", "@odata.context", "@odata.etag", "@Message.ExtendedInfo",
    "Members@odata.count", "Members@odata.nextLink",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Query:
    """What was asked; `expand` is `*`, `.` or `~`, `select` are property paths."""

    filter: Test | None = None
    skip: int = 0
    top: int | None = None
    expand: str | None = None
    levels: int = 1
    select: tuple[str, ...] | None = None
    only: bool = False
    excerpt: bool = False

    @property
    def of_collections(self) -> bool:
        """Whether it makes sense on a collection only."""
        return self.filter is not None or self.skip > 0 or self.top is not None or self.only

    @property
    def of_others(self) -> bool:
        """Whether the answer depends on what other resources hold."""
        return self.filter is not None or self.expand is not None or self.only


def parse_query(method: str, parameters: Mapping[str, str]) -> Query | None:
    """The query; None without any. RedfishError 400 for a wrong value, 501 for an unknown `$`.

    Unknown parameters without a `$` are ignored (DSP0266 7.3.1).
    """
    known = {name: value for name, value in parameters.items() if name in _KNOWN}
    for name in parameters:
        if name.startswith("$") and name not in _KNOWN:
            text = f"the query parameter {name} is not supported"
            raise RedfishError(501, text, message="QueryNotSupported")
    if not known:
        return None
    if method not in ("GET", "HEAD"):
        raise _wrong("QueryNotSupportedOnOperation", f"{method} takes no query parameters")
    for name in ("only", "excerpt"):
        if known.get(name):
            raise _wrong("QueryParameterValueError", f"{name} takes no value", name)
    if "only" in known and len(known) > 1:
        raise _wrong("QueryCombinationInvalid", "only stands alone")
    kind, levels = _expand(known.get("$expand"))
    top = known.get("$top")
    return Query(
        filter=_filter(known.get("$filter")),
        skip=_count("$skip", known.get("$skip", "0")),
        top=None if top is None else _count("$top", top),
        expand=kind,
        levels=levels,
        select=_select(known.get("$select")),
        only="only" in known,
        excerpt="excerpt" in known,
    )


def _filter(text: str | None) -> Test | None:
    if text is None:
        return None
    try:
        return parse_filter(text)
    except ValueError as error:
        raise _wrong(
            "QueryParameterValueFormatError", f"$filter: {error}", text[:64], "$filter"
        ) from error


def _count(name: str, text: str) -> int:
    if not _COUNT.fullmatch(text):
        reason = f"{name}: {text[:20]!r} is not a count"
        raise _wrong("QueryParameterValueTypeError", reason, text[:20], name)
    return int(text)


def _expand(text: str | None) -> tuple[str | None, int]:
    if text is None:
        return None, 1
    match = _EXPAND.fullmatch(text)
    if match is None:
        reason = f"$expand: {text[:40]!r} is none of *, . and ~, each with or without ($levels=N)"
        raise _wrong("QueryParameterValueFormatError", reason, text[:40], "$expand")
    levels = int(match[2] or 1)
    if not 1 <= levels <= MAX_LEVELS:
        reason = f"$expand: $levels is not in 1 to {MAX_LEVELS}"
        raise _wrong("QueryParameterOutOfRange", reason, str(levels), "$expand", f"1-{MAX_LEVELS}")
    return match[1], levels


def _select(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    paths = tuple(path.strip() for path in text.split(","))
    for path in paths:
        if not _PATH.fullmatch(path):
            reason = f"$select: {path[:40]!r} is not a property"
            raise _wrong("QueryParameterValueFormatError", reason, path[:40], "$select")
    return paths


def _wrong(key: str, text: str, *args: str) -> RedfishError:
    return RedfishError(400, text, message=key, args=args)


def apply_query(query: Query, body: Body, read: Reader, excerpt: Callable[[Body], Body]) -> Body:
    """The body as asked; `excerpt` makes one of a resource. RedfishError where it cannot be so."""
    if "Members" not in body and query.of_collections:
        raise _wrong("QueryNotSupportedOnResource", "this is not a collection")
    if query.only:
        members = body["Members"]
        return (len(members) == 1 and read(_uri(members[0]))) or body
    if query.of_collections:
        body = _chosen(query, body, read)
    if query.expand is not None:
        body = _Expansion(query.expand, read, excerpt if query.excerpt else None).of(
            body, query.levels
        )
    elif query.excerpt:
        body = excerpt(body)
    return body if query.select is None else _selected(body, query.select)


def _chosen(query: Query, body: Body, read: Reader) -> Body:
    """The collection with the members that $filter, $skip and $top leave."""
    members = body["Members"]
    if query.filter is not None:
        members = [link for link in members if query.filter(read(_uri(link)) or {})]
    end = None if query.top is None else query.skip + query.top
    return {
        **body, "Members": members[query.skip : end], "Members@odata.count": len(members)
    }  # fmt: skip


def _uri(link: Mapping[str, Any]) -> str:
    return str(link["@odata.id"])


class _Expansion:
    """Replaces links by what they lead to, `levels` deep, never a resource inside itself."""

    def __init__(self, kind: str, read: Reader, excerpt: Callable[[Body], Body] | None) -> None:
        self._kind = kind
        self._read = read
        self._excerpt = excerpt
        self._gathered = 0
        self._above: list[str] = []

    def of(self, body: Body, levels: int) -> Body:
        """The body of a resource with its links expanded."""
        self._above.append(str(body.get("@odata.id", "")).rstrip("/"))
        try:
            return {name: self._value(name, value, levels, False) for name, value in body.items()}
        finally:
            self._above.pop()

    def _value(self, name: str, value: Any, levels: int, in_links: bool) -> Any:
        if name in ("Actions", "error") or name.startswith("@"):
            return value
        in_links = in_links or name == "Links"
        if isinstance(value, list):
            return [self._value("", entry, levels, in_links) for entry in value]
        if not isinstance(value, dict):
            return value
        if value.keys() == {"@odata.id"}:
            return self._link(value, levels, in_links)
        return {key: self._value(key, inner, levels, in_links) for key, inner in value.items()}

    def _link(self, link: Body, levels: int, in_links: bool) -> Body:
        wanted = {"*": True, ".": not in_links, "~": in_links}[self._kind]
        uri = _uri(link)
        if not wanted or "#" in uri or uri.rstrip("/") in self._above:
            return link
        self._gathered += 1
        if self._gathered > MAX_RESOURCES:
            reason = f"$expand gathers more than {MAX_RESOURCES} resources; ask for fewer levels"
            most = f"at most {MAX_RESOURCES} resources"
            raise _wrong("QueryParameterOutOfRange", reason, self._kind, "$expand", most)
        found = self._read(uri)
        if found is None:
            return link
        if self._excerpt is not None:
            return self._excerpt(found)
        return found if levels == 1 else self.of(found, levels - 1)


def _selected(body: Body, paths: tuple[str, ...]) -> Body:
    """What $select keeps: the properties, what says what they belong to, and their annotations."""
    tree: dict[str, Any] = {}
    for path in paths:
        node = tree
        for step in path.split("/"):
            node = node.setdefault(step, {})
    return _kept(body, tree)


def _kept(body: Body, tree: Mapping[str, Any]) -> Body:
    return dict(_kept_members(body, tree))


def _kept_members(body: Body, tree: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in body.items():
        if name in _ALWAYS or name.partition("@")[0] in tree:
            yield name, _kept_value(value, tree.get(name) or {})
        elif name == "Members":
            # Of an expanded collection the members' properties are meant.
            yield name, [_kept_value(member, tree) for member in value]


def _kept_value(value: Any, tree: Mapping[str, Any]) -> Any:
    if not tree:
        return value
    if isinstance(value, dict):
        return _kept(value, tree)
    return [_kept_value(entry, tree) for entry in value] if isinstance(value, list) else value
