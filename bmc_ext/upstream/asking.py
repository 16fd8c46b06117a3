"""How a request goes on to the upstream BMC: as whom, with which headers, with which body."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

import orjson

from bmc_ext.errors import HostUnavailableError
from bmc_ext.redfish.context import Request
from bmc_ext.redfish.host import HostError, HostResponse
from bmc_ext.upstream.answers import UnreadableAnswerError, host_response, json_object
from bmc_ext.upstream.connection import Connection, RawAnswer
from bmc_ext.upstream.links import Links
from bmc_ext.upstream.login import Login
from bmc_ext.upstream_settings import UpstreamAccount, UpstreamConfig

WRITES: Final = ("POST", "PATCH", "PUT", "DELETE")
_HANDED_ON: Final = {
    "accept": "Accept", "content-type": "Content-Type", "if-match": "If-Match",
    "if-none-match": "If-None-Match", "prefer": "Prefer",
}  # fmt: skip
_COMMON: Final = {"OData-Version": "4.0", "Accept-Encoding": "identity", "User-Agent": "dcpi-bmc"}
_LOOK_S: Final = 10.0  # for what no client asked: it tells whether the BMC is there
_MAX_PAGES: Final = 40
_MAX_PAGES_WAITED: Final = 3  # times the time-out of one answer
_MOST_KNOWN: Final = 2000
_NEXT: Final = "Members@odata.nextLink"


class Asking:
    """Asks as the configuration says; any thread. Paths are the upstream BMC's own."""

    def __init__(self, config: UpstreamConfig, connection: Connection, links: Links) -> None:
        self._config = config
        self._connection = connection
        self._links = links
        self.service = Login(connection, config.account)
        accounts = {*(config.roles or {}).values()} - {config.account}
        self._logins: dict[UpstreamAccount, Login] = {
            config.account: self.service,
            **{account: Login(connection, account) for account in accounts if account is not None},
        }
        self._allowed: dict[str, str] = {}
        self._tells_methods = True

    def close(self) -> None:
        """Leave no session behind."""
        for login in self._logins.values():
            login.log_out()

    def read(self, path: str, *, within_s: float = _LOOK_S) -> dict[str, Any] | None:
        """A resource in its own words, for the service; None where it answers something else."""
        within_s = min(within_s, self._config.timeout_s)
        answer = self._as(self.service, "GET", path, _with_common({}), None, within_s)
        try:
            return json_object(answer) if answer.status == 200 else None
        except UnreadableAnswerError:
            return None

    def write(self, method: str, path: str, body: object = None) -> RawAnswer:
        """The answer to a change that the service itself makes. HostUnavailableError."""
        kind = {} if body is None else {"Content-Type": "application/json"}
        data = None if body is None else orjson.dumps(body)
        return self._as(self.service, method, path, _with_common(kind), data)

    def document(self, path: str) -> bytes:
        """A document that is not JSON, for the service; nothing where there is none."""
        within_s = min(_LOOK_S, self._config.timeout_s)
        answer = self._as(
            self.service, "GET", path, _with_common({"Accept": "*/*"}), None, within_s
        )
        return answer.data if answer.status == 200 else b""

    def answer(
        self, method: str, asked: str, path: str, body: object | None, request: Request | None
    ) -> HostResponse:
        """The answer about `asked`, which with us is at `path`. HostError, HostUnavailableError."""
        headers, data = self._content(body, request)
        raw = self._ask(method, asked, headers, data, request)
        response = host_response(raw, self._links, asked.partition("?")[0], path)
        if request is None or method not in ("GET", "OPTIONS"):
            return response
        if request.query and "?" not in asked and _NEXT in _object(response.body):
            return response._replace(body=self._whole(_object(response.body), request))
        if response.status in (200, 405) and "Allow" not in response.headers:
            response.headers.update(self._methods(asked, request))
        return response

    def _whole(self, body: dict[str, Any], request: Request) -> dict[str, Any]:
        """A collection with the members of all its pages: queries are about all of them."""
        deadline_s = time.monotonic() + _MAX_PAGES_WAITED * self._config.timeout_s
        members, page = list(body.get("Members", ())), body
        for _ in range(_MAX_PAGES):
            asked = self._links.inward(str(page.get(_NEXT)))
            if asked is None or time.monotonic() > deadline_s:
                raise HostUnavailableError("the next page of a collection is not to be had")
            raw = self._ask("GET", asked, _with_common({}), None, request)
            page = _object(host_response(raw, self._links, asked, asked).body)
            members += page.get("Members", ())
            if _NEXT not in page:
                whole = {name: value for name, value in body.items() if name != _NEXT}
                return {**whole, "Members": members}
        raise HostUnavailableError(f"a collection of it has more than {_MAX_PAGES} pages")

    def _methods(self, asked: str, request: Request) -> dict[str, str]:
        """The methods that a resource takes, asked once of who does not say so in each answer."""
        path = asked.partition("?")[0]
        known = self._allowed.get(path)
        if known is None and self._tells_methods and len(self._allowed) < _MOST_KNOWN:
            answer = self._ask("OPTIONS", path, _with_common({}), None, request)
            known = answer.headers.get("allow", "") if answer.status < 300 else ""
            self._tells_methods = bool(known)
            self._allowed[path] = known
        return {"Allow": known} if known else {}

    def _content(
        self, body: object | None, request: Request | None
    ) -> tuple[dict[str, str], bytes | None]:
        """Headers and bytes of a request; what is not JSON goes on as it came."""
        given = {} if request is None else request.headers
        headers = {name: given[key] for key, name in _HANDED_ON.items() if given.get(key)}
        if body is not None:
            return _with_common(headers), orjson.dumps(self._links.request(body))
        if request is None or not request.body or request.method not in WRITES:
            headers.pop("Content-Type", None)
            return _with_common(headers), None
        return _with_common(headers), request.body

    def _ask(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        data: bytes | None,
        request: Request | None,
    ) -> RawAnswer:
        """The answer to who asks."""
        account = self._account(request)
        if account is not None:
            return self._as(self._logins[account], method, path, headers, data)
        known = "" if request is None else request.headers.get("authorization", "")
        if known[:6].lower() != "basic ":
            text = "the BMC behind this service wants Basic credentials, not a session of ours"
            raise HostError(403, text)
        answer = self._connection.ask(method, path, {**headers, "Authorization": known}, data)
        if answer.status == 401:
            raise HostError(401, "the BMC behind this service refuses these credentials")
        return answer

    def _as(
        self,
        login: Login,
        method: str,
        path: str,
        headers: dict[str, str],
        data: bytes | None,
        within_s: float | None = None,
    ) -> RawAnswer:
        """The answer to one of our accounts; a session that has ended is renewed once."""
        known = login.headers()
        for _ in range(2):
            sent = {**headers, **known}
            answer = self._connection.ask(method, path, sent, data, within_s=within_s)
            if answer.status != 401:
                login.accepted()
                return answer
            known = login.headers(refused=known)
        raise login.refused()

    def _account(self, request: Request | None) -> UpstreamAccount | None:
        """As whom to ask; None as the client itself."""
        roles = self._config.roles
        if request is None or roles is None:
            return self._config.account
        role = request.who.role
        if role not in roles:
            raise HostError(403, f"the role {role} may not ask the BMC behind this service")
        return roles[role]


def takes_query(root: Mapping[str, Any], query: Mapping[str, str]) -> bool:
    """Whether a query only turns a collection's pages, and the BMC with that root does that."""
    features = root.get("ProtocolFeaturesSupported")
    turns = isinstance(features, dict) and features.get("TopSkipQuery") is True
    return "$skiptoken" in query or (turns and bool(query) and query.keys() <= {"$skip", "$top"})


def _object(body: dict[str, Any] | bytes | None) -> dict[str, Any]:
    return body if isinstance(body, dict) else {}


def _with_common(headers: dict[str, str]) -> dict[str, str]:
    return {"Accept": "application/json", **headers, **_COMMON}
