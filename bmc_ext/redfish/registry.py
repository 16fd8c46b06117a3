"""The one registry of resources: URI template, schema, privilege and handler of each."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bmc_ext.redfish.context import Context, Request, Response

Answer = dict[str, Any] | Response
Handler = Callable[[Context, Request], Answer]
AnyHandler = TypeVar("AnyHandler", bound=Handler)

OPEN = ""
"""No authentication: only what DSP0266 13.3.1 leaves open."""


@dataclass(slots=True)
class Resource:
    """One URI template with what it serves.

    `schema` is the type without `#`, such as `DcpiService.v1_0_0.DcpiService`; None for plain
    documents and message endpoints. `volatile` names the members that are readings: they do not
    enter the ETag (design, decision 4). `hot` resources are answered without a thread; methods
    in `costly` run argon2 and wait in a queue of their own. Who changes one holds `changing` from
    the look at its entity tag to the change.
    """

    uri: str
    schema: str | None = None
    volatile: frozenset[str] = frozenset()
    hot: bool = False
    costly: set[str] = field(default_factory=set)
    handlers: dict[str, tuple[str, Handler]] = field(default_factory=dict)
    changing: threading.Lock = field(default_factory=threading.Lock)

    @property
    def allow(self) -> str:
        """The value of the Allow header."""
        return allow(self.handlers)


def allow(methods: Iterable[str]) -> str:
    """The value of the Allow header for a resource that takes `methods`."""
    all_methods = {*methods, "OPTIONS"}
    if "GET" in all_methods:
        all_methods.add("HEAD")
    return ", ".join(sorted(all_methods))


class Routes:
    """The resources of one file: `@routes.get(uri, privilege, …)` above each handler."""

    def __init__(self) -> None:
        self.resources: dict[str, Resource] = {}

    def get(
        self,
        uri: str,
        privilege: str,
        *,
        schema: str | None = None,
        volatile: Iterable[str] = (),
        hot: bool = False,
    ) -> Callable[[AnyHandler], AnyHandler]:
        """Serve GET and HEAD of `uri` to whoever has `privilege`."""
        resource = self.resources.setdefault(uri, Resource(uri))
        resource.schema, resource.volatile, resource.hot = schema, frozenset(volatile), hot
        return self._handler(uri, "GET", privilege)

    def post(
        self, uri: str, privilege: str, *, costly: bool = False
    ) -> Callable[[AnyHandler], AnyHandler]:
        """Serve POST of `uri`."""
        return self._handler(uri, "POST", privilege, costly=costly)

    def patch(
        self, uri: str, privilege: str, *, costly: bool = False
    ) -> Callable[[AnyHandler], AnyHandler]:
        """Serve PATCH of `uri`."""
        return self._handler(uri, "PATCH", privilege, costly=costly)

    def put(self, uri: str, privilege: str) -> Callable[[AnyHandler], AnyHandler]:
        """Serve PUT of `uri`."""
        return self._handler(uri, "PUT", privilege)

    def delete(self, uri: str, privilege: str) -> Callable[[AnyHandler], AnyHandler]:
        """Serve DELETE of `uri`."""
        return self._handler(uri, "DELETE", privilege)

    def options(self, uri: str, privilege: str) -> Callable[[AnyHandler], AnyHandler]:
        """Serve OPTIONS of `uri` where the registry does not know its methods."""
        return self._handler(uri, "OPTIONS", privilege)

    def _handler(
        self, uri: str, method: str, privilege: str, *, costly: bool = False
    ) -> Callable[[AnyHandler], AnyHandler]:
        def keep(handler: AnyHandler) -> AnyHandler:
            resource = self.resources.setdefault(uri, Resource(uri))
            if costly:
                resource.costly.add(method)
            resource.handlers[method] = (privilege, handler)
            return handler

        return keep


def _pattern(uri: str) -> re.Pattern[str]:
    """`{name}` takes one segment, `{name:path}` all that is left."""
    escaped = re.sub(r"\\{(\w+):path\\}", r"(?P<\1>.+)", re.escape(uri))
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", escaped))


class Registry:
    """All resources; finds the one that a path names. The first template that fits wins."""

    def __init__(self, groups: Iterable[Routes]) -> None:
        self._exact: dict[str, Resource] = {}
        self._templates: list[tuple[re.Pattern[str], Resource]] = []
        for routes in groups:
            for uri, resource in routes.resources.items():
                if "{" in uri:
                    self._templates.append((_pattern(uri), resource))
                else:
                    self._exact[uri] = resource

    def find(self, path: str) -> tuple[Resource, Mapping[str, str]] | None:
        """The resource at `path` and its template's parameters; None when nothing lives there."""
        path = path.rstrip("/") or "/"
        exact = self._exact.get(path)
        if exact is not None:
            return exact, {}
        for pattern, resource in self._templates:
            match = pattern.fullmatch(path)
            if match:
                return resource, match.groupdict()
        return None

    def __iter__(self) -> Iterator[Resource]:
        yield from self._exact.values()
        yield from (resource for _, resource in self._templates)
