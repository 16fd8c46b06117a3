"""Events that the upstream BMC pushes to us, for one that has no stream of them.

It subscribes us to its EventService and posts to a URI of ours that nobody can guess and that is
another after each start: BMCs know no better way to say who they are. What it posts is told to our
listeners as what its stream says would be.
"""

from __future__ import annotations

import contextlib
import hmac
import ipaddress
import logging
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from bmc_ext.errors import HostUnavailableError
from bmc_ext.lifecycle import Lifecycle
from bmc_ext.redfish.context import Context, Request, Response
from bmc_ext.redfish.errors import RedfishError
from bmc_ext.redfish.events.message import EVENT_TYPES
from bmc_ext.redfish.registry import OPEN, Routes
from bmc_ext.settings import Config
from bmc_ext.upstream.asking import Asking
from bmc_ext.upstream.paths import local

_LOG = logging.getLogger(__name__)

_PLACE: Final = "/redfish/v1/dcpi/upstream-events"
_AGAIN_S: Final = 300.0  # after a refusal: it will not have changed its mind by the next look
_MOST_MEMBERS: Final = 100


class Inbox:
    """Where the upstream BMC posts to; `take` is handed what comes, once it is set."""

    def __init__(self) -> None:
        self._token = secrets.token_urlsafe(24)
        self.take: Callable[[bytes], None] = lambda data: None  # noqa: ARG005

    @property
    def path(self) -> str:
        """The path that only the upstream BMC is told."""
        return f"{_PLACE}/{self._token}"

    @property
    def routes(self) -> Routes:
        """What answers there."""
        routes = Routes()

        @routes.post(f"{_PLACE}/{{token}}", OPEN)
        def push(context: Context, request: Request) -> Response:  # noqa: ARG001
            """Take an Event from who knows the path."""
            given = request.params["token"].encode()
            if not hmac.compare_digest(given, self._token.encode()):
                raise RedfishError(404, f"nothing lives at {request.path}")
            self.take(request.body)
            return Response(204)

        return routes


class Push:
    """Our subscription at the upstream BMC; for the thread that looks at it.

    `mark` tells our subscriptions from others', over restarts. Events are to be posted to `host`,
    or to that of our addresses from which the BMC is reached where that is a wildcard, and to the
    port that `port` gives.
    """

    def __init__(
        self, asking: Asking, url: str, inbox: Inbox, mark: str, host: str, port: Callable[[], Any]
    ) -> None:
        self._asking = asking
        self._url = url
        self._inbox = inbox
        self._mark = mark
        self._host = host
        self._port = port
        self._uri: str | None = None
        self._not_before_s = 0.0

    def keep(self, service: Mapping[str, Any]) -> bool:
        """Whether we are subscribed now, at an EventService of that body. HostUnavailableError."""
        place = service.get("Subscriptions")
        path = place.get("@odata.id") if isinstance(place, dict) else None
        collection = local(path, self._url) if isinstance(path, str) else None
        if collection is None or service.get("ServiceEnabled") is False or self._port() is None:
            return False
        if self._uri is not None and self._asking.read(self._uri) is not None:
            return True
        self._uri = None
        if time.monotonic() >= self._not_before_s:
            self._forget_older(collection)
            self._uri = self._subscribe(collection)
            if self._uri is None:
                self._not_before_s = time.monotonic() + _AGAIN_S
        return self._uri is not None

    def end(self) -> None:
        """Unsubscribe, as far as it is there to hear it."""
        uri, self._uri = self._uri, None
        if uri is not None:
            with contextlib.suppress(HostUnavailableError):
                self._asking.write("DELETE", uri)

    def _subscribe(self, collection: str) -> str | None:
        """The URI of a new subscription; None where it refuses."""
        wanted = {
            "Destination": f"https://{self._address()}:{self._port()}{self._inbox.path}",
            "Protocol": "Redfish",
            "Context": self._mark,
        }
        # Older services do not know a subscription to all events but by naming them.
        for more in ({}, {"EventTypes": [kind for kind in EVENT_TYPES if kind in _FIRST_TYPES]}):
            answer = self._asking.write("POST", collection, {**wanted, **more})
            if answer.status in (200, 201):
                found = local(answer.headers.get("location", ""), self._url)
                _LOG.info("the upstream BMC pushes its events to us")
                return found
            if answer.status != 400:
                break
        _LOG.warning("the upstream BMC answers %d to a subscription: its events are not told",
                     answer.status)  # fmt: skip
        return None

    def _forget_older(self, collection: str) -> None:
        """Delete what an earlier run has left, whose path nobody answers any more."""
        members = (self._asking.read(collection) or {}).get("Members")
        for member in members[:_MOST_MEMBERS] if isinstance(members, list) else ():
            path = member.get("@odata.id") if isinstance(member, dict) else None
            uri = local(path, self._url) if isinstance(path, str) else None
            if uri is not None and (self._asking.read(uri) or {}).get("Context") == self._mark:
                self._asking.write("DELETE", uri)

    def _address(self) -> str:
        """Where it reaches us, as a URI holds it."""
        host = self._host
        with contextlib.suppress(ValueError):
            if ipaddress.ip_address(host or "0.0.0.0").is_unspecified:
                host = _own_address(self._url)
        return f"[{host}]" if ":" in host else host


def inbox_of(config: Config) -> Inbox | None:
    """Where events are posted to, where the configuration wants them pushed."""
    wanted = config.upstream is not None and config.upstream.push_events
    return Inbox() if wanted else None


def subscription(
    config: Config, inbox: Inbox | None, identity: str, lifecycle: Lifecycle
) -> Callable[[Asking], Push] | None:
    """What makes our subscription, given how the BMC is asked; `identity` is ours."""
    if inbox is None or config.upstream is None:
        return None
    url, mark = config.upstream.url, f"dcpi-bmc {identity}"
    return lambda asking: Push(asking, url, inbox, mark, config.listen.host, lambda: lifecycle.port)


_FIRST_TYPES: Final = frozenset(
    {"Alert", "ResourceAdded", "ResourceRemoved", "ResourceUpdated", "StatusChange"}
)
"""EventType of the schema Event v1_0_0."""


def _own_address(url: str) -> str:
    """Our address on the way to a BMC; HostUnavailableError where there is no way."""
    parts = urlsplit(url)
    try:
        where = (parts.hostname, parts.port or 443)
        family, kind, *_, address = socket.getaddrinfo(*where, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(address)  # of a datagram socket: nothing is sent
            return str(probe.getsockname()[0])
    except OSError as error:
        raise HostUnavailableError(f"no way leads to {parts.hostname}: {error}") from error
