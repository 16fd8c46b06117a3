"""From a request to an answer: what DSP0266 asks of every resource is done here, once."""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import Mapping
from typing import Any

import orjson

from bmc_ext.errors import DcpiError
from bmc_ext.redfish.aggregated import is_shown
from bmc_ext.redfish.context import Context, Request, Response
from bmc_ext.redfish.entity_tag import etag
from bmc_ext.redfish.errors import RedfishError, error_response
from bmc_ext.redfish.events.client_changes import note_change
from bmc_ext.redfish.host_members import ROOT, with_members
from bmc_ext.redfish.partial_update import asks_for_nothing, patched
from bmc_ext.redfish.password_change import may_only_change_password
from bmc_ext.redfish.query import Query, apply_query, parse_query
from bmc_ext.redfish.registry import OPEN, Answer, Handler, Registry, Resource
from bmc_ext.security.identity import LOGIN, READ_AGGREGATED
from drivers.errors import DriverError

_LOG = logging.getLogger(__name__)

HEADERS = {
    "OData-Version": "4.0",
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
}
"""On every answer (DSP0266 7.2, 8.2)."""

_JSON = "application/json; charset=utf-8"
_WITH_BODY = ("POST", "PATCH", "PUT")
_CONDITIONAL = ("PATCH", "PUT", "DELETE")


class Dispatcher:
    """Finds the resource, checks method, privilege and preconditions, and renders its answer."""

    def __init__(self, registry: Registry, context: Context) -> None:
        self.registry = registry
        self.context = context
        found = registry.find(f"{ROOT}-")
        assert found is not None
        self._hosts = found[0]  # what hands on to the host
        self._is_remote = context.host is not None and not context.host.runs_here

    def find(self, path: str) -> tuple[Resource, Mapping[str, str]] | None:
        """The resource at `path` and its template's parameters; None when nothing lives there."""
        if "//" in path:  # a segment without a name: another server might read it in another way
            return None
        host = self.context.host
        if host is not None and host.claims(path):
            return self._hosts, {}
        return self.registry.find(path)

    def may_wait_for_host(self, path: str, query: bytes) -> bool:
        """Whether the answer may wait for a host that is another machine."""
        host = self.context.host
        if host is None or not host.may_wait:
            return False
        found = self.find(path)
        if found is None or found[0].is_hosts:
            return found is not None
        path = path.rstrip("/")
        return bool(query) and (f"{path}/" == ROOT or bool(host.members(path.removeprefix(ROOT))))

    def resource(self, path: str) -> Resource | None:
        """What answers at `path`."""
        found = self.find(path)
        return None if found is None else found[0]

    def answer(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the answer; never raises."""
        resource: Resource | None = None
        try:
            found = self.find(request.path)
            if found is None:
                raise RedfishError(404, f"nothing lives at {request.path}")
            resource, params = found
            response = self._handle(resource, params, request)
            note_change(self.context, self.registry, resource, request, response)
        except (DcpiError, DriverError) as error:
            response = error_response(error, request.path)
            self._note(request, response.status)
        except Exception:
            _LOG.exception("%s %s failed", request.method, request.path)
            response = error_response(RuntimeError())
        return _finish(response, resource, request.method)

    def read_as(self, username: str, path: str) -> dict[str, Any] | None:
        """The resource at `path` as that user would get it now; None where it would be refused."""
        identity = self.context.accounts.identity_of(username)
        if identity is None:
            return None
        return self._read(path, Request("GET", path, {}, {}, b"", identity, str(uuid.uuid4())))

    def _note(self, request: Request, status: int) -> None:
        """What a refusal leaves behind: an audit entry, or a line for whoever runs the service."""
        if status == 403:
            self.context.access.refused(
                "authorization.refused",
                user=request.who.username,
                role=request.who.role,
                request=f"{request.method} {request.path}",
                client=request.client,
                correlation_id=request.correlation_id,
            )
        elif status == 500:
            _LOG.exception("%s %s failed", request.method, request.path)

    def _handle(self, resource: Resource, params: Mapping[str, str], request: Request) -> Response:
        if request.method == "OPTIONS" and "OPTIONS" not in resource.handlers:
            return Response(204)
        method = "GET" if request.method == "HEAD" else request.method
        if method not in resource.handlers:
            raise RedfishError(405, f"{request.path} does not take {request.method}")
        privilege, handler = resource.handlers[method]
        _authorise(request, privilege)
        elsewhere = resource.is_hosts and self._is_remote
        query = self._query(resource, request)
        if not elsewhere:
            _check_media_type(resource, request)
        asked = request._replace(params=params)
        if query is not None and query.of_others:
            # The entity tag of what is asked says nothing of them.
            headers = {k: v for k, v in request.headers.items() if k != "if-none-match"}
            asked = asked._replace(headers=headers)
        if method not in _CONDITIONAL:
            answer = self._answer(resource, handler, asked)
            return answer if query is None else self._queried(query, answer, request)
        # A host elsewhere looks at If-Match once more itself; nobody waits for it in line.
        with contextlib.nullcontext() if elsewhere else resource.changing:
            self._check_if_match(resource, asked)
            if method == "PATCH" and not elsewhere and _is_shown(resource):
                return self._patch(resource, handler, asked)
            return self._answer(resource, handler, asked)

    def _query(self, resource: Resource, request: Request) -> Query | None:
        """What is to be made of the answer; a query that the host answers is not ours."""
        host = self.context.host
        if resource.is_hosts and host is not None and host.takes_query(request.query):
            return None
        return _query(resource, request)

    def _answer(self, resource: Resource, handler: Handler, request: Request) -> Response:
        return _annotate(self._whole(resource, handler, request), resource, request)

    def _whole(self, resource: Resource, handler: Handler, request: Request) -> Answer:
        """The handler's answer; a collection with what the host has in it."""
        answer = handler(self.context, request)
        if resource.schema is not None and request.method in ("GET", "HEAD"):
            return with_members(self.context, request.path, answer)
        return answer

    def _patch(self, resource: Resource, handler: Handler, request: Request) -> Response:
        """Change what can be changed of a resource."""
        if resource.schema is not None and asks_for_nothing(request):
            resource.handlers["GET"][1](self.context, request)  # what is not there is 404
            text = "the body holds no property, so that nothing is changed"
            raise RedfishError(400, text, message="NoOperation")
        read = resource.handlers["GET"][1]
        return patched(
            request,
            lambda rest: _annotate(handler(self.context, rest), resource, request),
            lambda: self._answer(resource, read, _reading(request)),
        )

    def _queried(self, query: Query, answer: Response, request: Request) -> Response:
        """The answer as its query wants it; its entity tag is that of the whole resource shown."""
        if answer.status != 200 or not isinstance(answer.body, dict):
            return answer
        reading = _reading(request)

        def read(path: str) -> dict[str, Any] | None:
            return self._read(path, reading)

        body = apply_query(query, answer.body, read, self._excerpt)
        headers = dict(answer.headers)
        if query.only and "@odata.etag" in body:
            headers.update(_about(body))
        return Response(200, body, headers)

    def _read(self, path: str, reading: Request) -> dict[str, Any] | None:
        """The resource at `path` as this plain GET would get it; None where it would be refused."""
        found = self.find(path)
        privilege, handler = (found and found[0].handlers.get("GET")) or (OPEN, None)
        if found is None or handler is None:
            return None
        resource, params = found
        asked = Request(
            "GET", path, {}, reading.headers, b"", reading.identity, reading.correlation_id,
            params, client=reading.client,
        )  # fmt: skip
        try:
            _authorise(asked, privilege)
            answer = self._whole(resource, handler, asked)
        except (DcpiError, DriverError):
            return None
        if not isinstance(answer, Response):
            return _annotated(answer, resource, path)
        if answer.status != 200 or not isinstance(answer.body, dict):
            return None
        return _annotated(answer.body, resource, path, answer.headers.get("ETag"))

    def _excerpt(self, body: dict[str, Any]) -> dict[str, Any]:
        """What an excerpt shows of a resource; all of one that has none (DSP0266 7.3.6)."""
        found = self.find(str(body.get("@odata.id")))
        shown = found[0].excerpt if found is not None else frozenset()
        if not shown:
            return body
        return {k: v for k, v in body.items() if k.partition("@")[0] in shown or k == "@odata.id"}

    def _check_if_match(self, resource: Resource, request: Request) -> None:
        """A change with If-Match goes through only while the resource is as the client saw it."""
        wanted = request.headers.get("if-match")
        if wanted is None or wanted == "*" or "GET" not in resource.handlers:
            return
        current = self._answer(resource, resource.handlers["GET"][1], _reading(request))
        if current.headers.get("ETag") not in [part.strip() for part in wanted.split(",")]:
            raise RedfishError(412, "the resource has changed since it was read")


def _authorise(request: Request, privilege: str) -> None:
    if privilege == OPEN:
        return
    if request.identity is None:
        raise RedfishError(401, "authentication is needed")
    if may_only_change_password(request):
        return
    if READ_AGGREGATED in request.identity.privileges and privilege == LOGIN:
        if is_shown(request.path):
            return
        raise RedfishError(403, f"{request.path} is not shown without identity")
    if privilege not in request.identity.privileges:
        raise RedfishError(403, f"the role {request.identity.role} lacks the privilege {privilege}")


def _is_shown(resource: Resource) -> bool:
    """Whether it is a resource of Redfish, no message and no plain document."""
    return resource.schema is not None or resource.is_hosts


def _reading(request: Request) -> Request:
    """A plain GET by whoever sends `request`, with what a host elsewhere may know them by."""
    headers = {name: value for name, value in request.headers.items() if name == "authorization"}
    return request._replace(method="GET", query={}, headers=headers, body=b"", raw_query="")


def _query(resource: Resource, request: Request) -> Query | None:
    """The query of a request; messages and plain documents take none."""
    if not request.query:
        return None
    query = parse_query(request.method, request.query)
    if query is not None and not _is_shown(resource):
        text = "query parameters of Redfish are not supported on a plain document"
        raise RedfishError(501, text, message="QueryNotSupported")
    return query


def _check_media_type(resource: Resource, request: Request) -> None:
    if request.method not in _WITH_BODY or not request.body:
        return
    media_type = request.headers.get("content-type", resource.media_type).partition(";")[0]
    if media_type.strip().lower() != resource.media_type:
        raise RedfishError(415, f"the content type {media_type!r} is not {resource.media_type}")


def _annotated(
    body: dict[str, Any], resource: Resource, path: str, tag: str | None = None
) -> dict[str, Any]:
    """The body with its @odata annotations; `tag` is the entity tag of a host that gives one.

    What has no @odata.id is a message or a plain document and stays as it is, and so does what one
    of our own resources has annotated.
    """
    if resource.schema is not None:
        if "@odata.etag" in body:
            return body
        body = {"@odata.type": f"#{resource.schema}", "@odata.id": path.rstrip("/"), **body}
    if "@odata.id" not in body:
        return body
    return {**body, "@odata.etag": tag or etag(body, resource.volatile)}


def _annotate(answer: Answer, resource: Resource, request: Request) -> Response:
    """Add annotations and headers, and answer 304 where the client has it already."""
    response = answer if isinstance(answer, Response) else Response(200, answer)
    if not isinstance(response.body, dict) or response.status != 200:
        return response
    body = _annotated(response.body, resource, request.path, response.headers.get("ETag"))
    tag = body.get("@odata.etag")
    if tag is None:
        return response
    headers = {**_about(body), **response.headers}
    # A tag that leaves readings out does not say that they are what the client has; what a host's
    # own tag says, the host was asked.
    is_whole = resource.volatile.isdisjoint(body) and "ETag" not in response.headers
    if request.method in ("GET", "HEAD") and is_whole:
        known = request.headers.get("if-none-match", "")
        if known == "*" or tag in [part.strip() for part in known.split(",")]:
            return Response(304, None, headers)
    return Response(200, body, headers)


def _about(body: Mapping[str, Any]) -> dict[str, str]:
    """The headers that tell a resource's entity tag and its schema."""
    return {
        "ETag": body["@odata.etag"],
        "Link": f"<{json_schema_uri(str(body.get('@odata.type')))}>; rel=describedby",
    }


def json_schema_uri(odata_type: str) -> str:
    """Where the JSON Schema of a type such as `#Sensor.v1_13_0.Sensor` is found."""
    return f"/redfish/v1/JsonSchemas/{odata_type.lstrip('#').rpartition('.')[0]}"


def _finish(
    response: Response, resource: Resource | None, method: str
) -> tuple[int, dict[str, str], bytes]:
    headers = {**HEADERS, **response.headers}
    found = response.status < 400 and method in ("GET", "HEAD", "OPTIONS")
    if resource is not None and not resource.is_hosts and (found or response.status == 405):
        headers.setdefault("Allow", resource.allow)
    if response.status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="Redfish"'
    if response.body is None:
        return response.status, headers, b""
    if isinstance(response.body, bytes):
        headers.setdefault("Content-Type", "application/octet-stream")
        return response.status, headers, response.body
    headers["Content-Type"] = _JSON
    return response.status, headers, orjson.dumps(response.body)
