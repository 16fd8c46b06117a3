"""The upstream BMC as the host: what is asked of it, whether it is there, and what it has."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from bmc_ext.errors import HostUnavailableError
from bmc_ext.redfish.context import Request
from bmc_ext.redfish.events.message import Happening
from bmc_ext.redfish.host import HostError, HostResponse
from bmc_ext.redfish.registry import Registry
from bmc_ext.redfish.resources.collections import own_chassis
from bmc_ext.settings import Config
from bmc_ext.upstream.answers import UnreadableAnswerError
from bmc_ext.upstream.asking import WRITES, Asking, takes_query
from bmc_ext.upstream.connection import Connection
from bmc_ext.upstream.inventory import (
    Inventory,
    metadata_schemas,
    take,
    type_name,
    types_in_tree,
)
from bmc_ext.upstream.links import Links
from bmc_ext.upstream.login import CredentialsRefusedError
from bmc_ext.upstream.paths import ROOT, Paths, local
from bmc_ext.upstream.push import Push
from bmc_ext.upstream.relay import Publish, Relay, happenings
from bmc_ext.upstream_settings import UpstreamConfig

_LOG = logging.getLogger(__name__)

_METHODS: Final = ("GET", "POST", "PATCH", "PUT", "DELETE", "OPTIONS")
_PROBE_S: Final = 3.0
_RETRY_S: Final = 2.0
_CALM_S: Final = 1.0
_MOST_TYPES: Final = 1000
_EMPTY: Final = Inventory({}, {})

Pushed = Callable[[Asking], Push]
"""Makes our subscription at a BMC, given how it is asked."""


class UpstreamBmc:
    """The port `bmc_ext.redfish.host.HostBMC` over HTTPS; any thread.

    A thread looks at it every `refresh_s`, and after each write; while it does not answer, nobody
    else waits for it. Its events are handed to `publish`; `pushed` makes our subscription at one
    that has no stream of them. `trees` are first segments of paths and `chassis` ids that are ours
    here and might be its, `types` the types that we serve ourselves.
    """

    runs_here = False

    def __init__(
        self,
        config: UpstreamConfig,
        publish: Publish,
        *,
        trees: Iterable[str] = (),
        chassis: Iterable[str] = (),
        types: Iterable[str] = (),
        pushed: Pushed | None = None,
    ) -> None:
        self._config = config
        self.connection = Connection(config)
        self._paths = Paths(trees, chassis)
        self.links = Links(self._paths, config.url)
        self._own_schemas = frozenset(name.rpartition(".")[0] for name in types)
        self._asking = Asking(config, self.connection, self.links)
        self._publish = publish
        self._relay = Relay(
            self.connection,
            self._asking.service,
            self.links,
            lambda: self._events_uri,
            self._tell,
        )
        self._push = pushed and pushed(self._asking)
        self._is_pushed = False
        self._events_uri: str | None = None
        self._inventory = _EMPTY
        self._powers: Mapping[str, str] = {}
        self._types: frozenset[str] = frozenset()
        self._down: str | None = "it has not answered yet"
        self._next_look_s = 0.0
        self._is_known = False
        self._is_told = False  # whether the log says that it is down
        self._look_again = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upstream", daemon=True)

    def start(self) -> None:
        """Begin to look at it; does not wait for it."""
        self._thread.start()
        self._relay.start()

    def stop(self) -> None:
        """End, and leave no session behind."""
        self._stopping.set()
        self._look_again.set()
        if self._thread.is_alive():
            self._thread.join()
        self._relay.stop()
        if self._push is not None:
            self._push.end()
        self._asking.close()
        self.connection.close()

    def version(self, path: str) -> None:
        """Its state changes without a word."""

    def warm_up(self) -> None:
        """Nothing here waits for it."""

    @property
    def may_wait(self) -> bool:
        """While it answers: where it does not, nobody waits for it."""
        return self._down is None

    @property
    def types(self) -> tuple[str, ...]:
        """The types of what it was seen to serve."""
        return tuple(sorted(self._types))

    @property
    def root(self) -> Mapping[str, Any]:
        """The links of its service root that lead anywhere through us, and its own Oem."""
        found: dict[str, Any] = {}
        for name, value in self._inventory.root.items():
            uri = value.get("@odata.id") if isinstance(value, dict) else None
            if name != "Links" and isinstance(uri, str) and self._leads_to(uri):
                found[name] = {"@odata.id": self.links.outward(uri)}
        oem = self._inventory.root.get("Oem")
        return {**found, **self.links.body({"Oem": oem}, "", "")} if oem else found

    @property
    def schemas(self) -> Mapping[str, tuple[str, ...]]:
        """What its `$metadata` refers to."""
        return self._inventory.schemas

    def members(self, collection: str) -> tuple[str, ...]:
        """Ids of its members of a collection, as they were at the last look."""
        return self._inventory.members.get(collection, ())

    def power_states(self) -> Mapping[str, str]:
        """PowerState of its systems at the last look; none while it tells of changes itself."""
        return {} if self._relay.listens or self._is_pushed else self._powers

    def take(self, data: bytes) -> None:
        """Tell the events that it has pushed."""
        for event in happenings(data, self.links):
            self._is_pushed = True
            self._tell(event)

    def claims(self, path: str) -> bool:
        """Whether it is the one to ask, not a template of ours."""
        if self._paths.inward(path) is None:
            return False
        first, _, rest = path.removeprefix(f"{ROOT}/").partition("/")
        if first == "JsonSchemas":
            return rest in self.members(first) and rest not in self._own_schemas
        if first == "UpdateService":  # of one that is ours the members may be its all the same
            return first in self._inventory.root or rest.startswith("FirmwareInventory/")
        return True

    def methods(self, path: str) -> tuple[str, ...]:
        """Any, of what may be its: it says itself which it takes."""
        return _METHODS if self._paths.inward(path) is not None else ()

    def takes_query(self, query: Mapping[str, str]) -> bool:
        """Whether it turns a collection's pages itself."""
        return takes_query(self._inventory.root, query)

    def handle(
        self,
        method: str,
        path: str,
        query: str,
        body: object | None,
        request: Request | None = None,
    ) -> HostResponse:
        """Its answer with our links. HostError, HostUnavailableError.

        Only a query that `takes_query` is handed on.
        """
        asked = self._paths.inward(path)
        if asked is None:
            raise HostError(404, f"nothing lives at {path}")
        if self._down is not None:
            raise _unreachable(self._down, self._next_look_s - time.monotonic())
        if query and request is not None and self.takes_query(request.query):
            asked = f"{asked}?{query}"
        try:
            response = self._asking.answer(method, asked, path, body, request)
        except (CredentialsRefusedError, UnreadableAnswerError) as error:
            raise _unreachable(str(error), error.retry_after_s) from error
        except HostUnavailableError as error:
            self._look_again.set()
            raise _unreachable(str(error), _RETRY_S) from error
        if method in WRITES:
            self._look_again.set()
        elif isinstance(response.body, dict) and response.status == 200:
            self._note_type(response.body)
        return response

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._look_again.clear()
            try:
                wait_s = self._look()
            except Exception:
                _LOG.exception("a look at the upstream BMC failed; the next one follows")
                wait_s = self._config.refresh_s
            self._next_look_s = time.monotonic() + _CALM_S + wait_s
            self._stopping.wait(_CALM_S)
            self._look_again.wait(wait_s)

    def _look(self) -> float:
        """See what is there; seconds until the next look."""
        try:
            root = self._asking.read(f"{ROOT}/", within_s=_PROBE_S)
            if root is None:
                raise HostUnavailableError("it has no service root at /redfish/v1/")
            schemas = self._inventory.schemas
            if self._down is not None:
                schemas = self._metadata()
            self._inventory = take(root, self._asking.read, schemas, self._paths)
            self._set_down(None)
            self._powers = self._look_at_power()
            self._look_at_events()
            if not self._is_known and not schemas:
                self._types |= types_in_tree(root, self._read_reachable)
            self._is_known = True
        except CredentialsRefusedError as error:
            self._set_down(str(error))
            return error.retry_after_s
        except HostUnavailableError as error:
            self._set_down(str(error))
            return _RETRY_S
        return self._config.refresh_s

    def _set_down(self, reason: str | None) -> None:
        was, self._down = self._down, reason
        if reason is not None:
            self._events_uri = None
            self._relay.hang_up()
        if reason is None and was is not None:
            _LOG.warning("the upstream BMC %s answers", self._config.url)
        elif reason is not None and not self._is_told:
            _LOG.warning("the upstream BMC %s is not available: %s", self._config.url, reason)
        self._is_told = reason is not None

    def _read_reachable(self, path: str) -> dict[str, Any] | None:
        if self._stopping.is_set() or not self._leads_to(path):
            return None
        return self._asking.read(path)

    def _leads_to(self, uri: str) -> bool:
        """Whether a link of its leads to it when it is followed through us."""
        ours = self.links.outward(uri)
        return ours is not None and (
            self._paths.inward(ours) is not None or ours.removeprefix(f"{ROOT}/") == "Systems"
        )

    def _metadata(self) -> Mapping[str, tuple[str, ...]]:
        found = metadata_schemas(self._asking.document(f"{ROOT}/$metadata"))
        return {self.links.outward(uri) or uri: spaces for uri, spaces in found.items()}

    def _look_at_power(self) -> dict[str, str]:
        found = {}
        for system in self.members("Systems"):
            body = self._asking.read(f"{ROOT}/Systems/{system}") or {}
            if isinstance(body.get("PowerState"), str):
                found[system] = body["PowerState"]
        return found

    def _look_at_events(self) -> None:
        """Find where it sends events, at itself; where it does not, see that they are pushed."""
        service: Mapping[str, Any] = {}
        if "EventService" in self._inventory.root:
            service = self._asking.read(f"{ROOT}/EventService") or {}
        self._events_uri = local(str(service.get("ServerSentEventUri")), self._config.url)
        if self._push is not None and self._events_uri is None:
            self._is_pushed = self._push.keep(service) and self._is_pushed

    def _tell(self, event: Happening) -> None:
        """What happens there may have changed what it has."""
        self._publish(event)
        self._look_again.set()

    def _note_type(self, body: Mapping[str, Any]) -> None:
        kind = type_name(body)
        if kind is not None and kind not in self._types and len(self._types) < _MOST_TYPES:
            self._types |= {kind}


def upstream_bmc(
    config: Config, registry: Registry, publish: Publish, pushed: Pushed | None = None
) -> UpstreamBmc | None:
    """The BMC behind this service, if one is configured; what we serve ourselves is not asked."""
    if config.upstream is None:
        return None
    served = {
        "PowerEquipment": bool(config.feeds) and config.power_equipment,
        "ThermalEquipment": bool(config.loops),
    }
    trees = (tree for tree, is_served in served.items() if is_served)
    return UpstreamBmc(
        config.upstream,
        publish,
        trees=trees,
        chassis=own_chassis(config),
        types=registry.types,
        pushed=pushed,
    )


def _unreachable(reason: str, retry_after_s: float) -> HostUnavailableError:
    text = f"the BMC behind this service is not available: {reason}"
    return HostUnavailableError(text, retry_after_s)
