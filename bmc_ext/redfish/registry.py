"""The one registry of resources: URI template, schema, privilege and handler of each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from bmc_ext.redfish.context import Context, Request, Response

Answer = dict[str, Any] | Response
Handler = Callable[[Context, Request], Answer]
AnyHandler = TypeVar("AnyHandler", bound=Handler)
Version = Callable[[Context, str], int | None]
"""What changes whenever the answer at a path does; None where that is not known beforehand."""

OPEN = ""
"""No authentication: only what DSP0266 13.3.1 leaves open."""


@dataclass(slots=True)
class Resource:
    """One URI template with what it serves.

    `schema` is the type without `#`, such as `DcpiService.v1_0_0.DcpiService`; None for plain
    documents and message endpoints. `volatile` names the members that are readings: they do not
    enter the ETag (design, decision 4); `excerpt` those that an excerpt shows. `hot` resources are
    answered without a thread; methods in `costly` run argon2 and wait in a queue of their own.
    An answer to a GET that needs no more than LOGIN and shows all of them the same is given again
    until `version` changes. `media_type` is what a body must be. Who changes one holds `changing`
    from the look at its entity tag to the change.
    """

    uri: str
    schema: str | None = None
    volatile: frozenset[str] = frozenset()
    excerpt: frozenset[str] = frozenset()
    hot: bool = False
    version: Version | None = None
    costly: set[str] = field(default_factory=set)
    media_type: str = "application/json"
    handlers: dict[str, tuple[str, Handler]] = field(default_factory=dict)
    changing: threading.Lock = field(default_factory=threading.Lock)

    @property
    def allow(self) -> str:
        """The value of the Allow header."""
        return allow(self.handlers)

    def is_open(self, method: str) -> bool:
        """Whether DSP0266 lets everyone ask this."""
        privilege, _ = self.handlers.get("GET" if method == "HEAD" else method, (None, None))
        return privilege == OPEN

    @property
    def is_hosts(self) -> bool:
        """Whether the host BMC answers: it knows its methods, and what a body may be."""
        return self.uri.endswith(":path}")


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
        excerpt: Iterable[str] = (),
        hot: bool = False,
        version: Version | None = None,
    ) -> Callable[[AnyHandler], AnyHandler]:
        """Serve GET and HEAD of `uri` to whoever has `privilege`."""
        resource = self.resources.setdefault(uri, Resource(uri))
        resource.schema, resource.volatile, resource.hot = schema, frozenset(volatile), hot
        resource.excerpt, resource.version = frozenset(excerpt), version
        return self._handler(uri, "GET", privilege)

    def post(
        self,
        uri: str,
        privilege: str,
        *,
        costly: bool = False,
        media_type: str = "application/json",
    ) -> Callable[[AnyHandler], AnyHandler]:
        """Serve POST of `uri`; its body has that media type."""
        self.resources.setdefault(uri, Resource(uri)).media_type = media_type
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


class _Node:
    """A segment of all templates that begin alike: what may follow, and what lives here."""

    def __init__(self) -> None:
        self.named: dict[str, _Node] = {}
        self.any: _Node | None = None
        self.resource: Resource | None = None
        self.rest: Resource | None = None

    def add(self, segments: Sequence[str], resource: Resource) -> None:
        """Put a resource where its template leads."""
        if not segments:
            if self.resource is not None:
                raise ValueError(f"{resource.uri} is served twice")
            self.resource = resource
        elif segments[0].endswith(":path}"):
            self.rest = resource
        elif segments[0].startswith("{"):
            self.any = self.any or _Node()
            self.any.add(segments[1:], resource)
        else:
            self.named.setdefault(segments[0], _Node()).add(segments[1:], resource)

    def children(self, path: str) -> Iterator[tuple[str, _Child]]:
        """Those right below this segment, which is at `path`, and below all that follow it."""
        if self.any is not None and self.any.resource is not None:
            parameter = self.any.resource.uri.rpartition("{")[2].removesuffix("}")
            yield path, _Child(self.any.resource, parameter, self.named)
        for name, node in self.named.items():
            yield from node.children(f"{path}/{name}")

    def find(self, segments: Sequence[str], at: int = 0) -> Resource | None:
        """The resource of the path from segment `at` on: names before parameters."""
        node, rest = self, self.rest
        while at < len(segments):
            named = node.named.get(segments[at])
            other = node.any if segments[at] else None
            at += 1
            if named is not None and other is not None:
                found = named.find(segments, at)
                if found is not None:
                    return found
                named = None
            step = named or other
            if step is None:
                return rest
            node, rest = step, step.rest or rest
        return node.resource or rest


class _Child(NamedTuple):
    """What lives right below a path without parameters, wherever it has no name of its own."""

    resource: Resource
    parameter: str
    named: Container[str]


class Registry:
    """All resources; finds the one that a path names, in a time that their number does not change.

    Where several templates fit, the one with a name where the other has a parameter wins.
    """

    def __init__(self, groups: Iterable[Routes]) -> None:
        self._resources = [resource for routes in groups for resource in routes.resources.values()]
        self._places = {found.uri: _places(found.uri) for found in self._resources}
        self._root = _Node()
        for resource in self._resources:
            self._root.add(resource.uri.split("/"), resource)
        self._alone = {found.uri: found for found in self._resources if "{" not in found.uri}
        self._children = dict(
            child for first, node in self._root.named.items() for child in node.children(first)
        )

    def find(self, path: str) -> tuple[Resource, Mapping[str, str]] | None:
        """The resource at `path` and its template's parameters; None when nothing lives there."""
        path = path.rstrip("/") or "/"
        alone = self._alone.get(path)
        if alone is not None:
            return alone, {}
        parent, _, name = path.rpartition("/")
        child = self._children.get(parent)
        if child is not None and name and name not in child.named:
            return child.resource, {child.parameter: name}
        segments = path.split("/")
        resource = self._root.find(segments)
        if resource is None:
            return None
        places = self._places[resource.uri]
        return resource, {
            name: "/".join(segments[at:]) if to_the_end else segments[at]
            for name, at, to_the_end in places
        }

    @property
    def types(self) -> tuple[str, ...]:
        """The types of all resources, in alphabetical order."""
        return tuple(sorted({found.schema for found in self._resources if found.schema}))

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._resources)


def _places(uri: str) -> tuple[tuple[str, int, bool], ...]:
    """Name and segment of each `{name}` of a template, and whether it is `{name:path}`."""
    return tuple(
        (step[1:-1].removesuffix(":path"), number, step.endswith(":path}"))
        for number, step in enumerate(uri.split("/"))
        if step.startswith("{")
    )
