"""The event service as the rest of the program sees it: publish, subscribe, stream."""

from __future__ import annotations

import functools
import logging
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bmc_ext.clock import Clock
from bmc_ext.errors import ConflictError, DcpiError, NotFoundError
from bmc_ext.redfish.events.bus import EventBus, Report
from bmc_ext.redfish.events.delivery import Delivery
from bmc_ext.redfish.events.listener import check_authorities
from bmc_ext.redfish.events.message import RESOURCE, Audience, Happening, happening
from bmc_ext.redfish.events.origin import with_origins
from bmc_ext.redfish.events.outbox import Item, Outbox
from bmc_ext.redfish.events.store import Settings, SubscriptionStore
from bmc_ext.redfish.events.subscription import Subscription
from bmc_ext.settings import EventsConfig
from bmc_ext.state import StateDirectory

_LOG = logging.getLogger(__name__)

SUBSCRIPTIONS = "/redfish/v1/EventService/Subscriptions"
MAX_STREAMS = 16
_PARTING_S = 0.5


@dataclass(frozen=True, slots=True)
class Stream:
    """One open server-sent event stream: who listens, and how to end it."""

    id: str
    peer: str
    context: str
    outbox: Outbox
    close: Callable[[], None]


class Eventing:
    """All of it; any thread. Raises StateError when the subscriptions cannot be read.

    ConfigurationError where `ca_file` holds no certificates.

    `privileges_of` says what a user holds now; nothing where there is none of that name. `read`,
    which is set before the start, gives the resource at a URI as a user may read it.
    """

    def __init__(
        self,
        config: EventsConfig,
        state: StateDirectory,
        clock: Clock,
        privileges_of: Callable[[str], frozenset[str]],
    ) -> None:
        check_authorities(config)
        self._config = config
        self._privileges_of = privileges_of
        self._clock = clock
        self.read: Callable[[str, str], Mapping[str, Any] | None] = lambda user, uri: None  # noqa: ARG005
        self.bus = EventBus(clock)
        self.store = SubscriptionStore(state)
        self._lock = threading.Lock()  # guards what follows
        self._deliveries: dict[str, Delivery] = {}
        self._streams: dict[str, Stream] = {}
        self._running = False

    @property
    def settings(self) -> Settings:
        """What a client may change."""
        return self.store.settings

    def start(self) -> None:
        """Begin to send to the subscribers that are known."""
        self.bus.start()
        with self._lock:
            self._running = True
            for subscription in self.store.list():
                self._deliver(subscription)

    def stop(self) -> None:
        """End; what still waits for a listener is lost."""
        self.bus.stop()
        with self._lock:
            self._running = False
            deliveries, self._deliveries = list(self._deliveries.values()), {}
            streams = list(self._streams.values())
        for delivery in deliveries:
            delivery.stop()
        for delivery in deliveries:
            delivery.join(_PARTING_S)
        for stream in streams:
            stream.close()
        self.store.close()

    def publish(self, event: Happening | Report) -> None:
        """Tell it to whom it concerns; never waits. Nobody is told while the service is off."""
        if self.store.settings.enabled:
            self.bus.publish(event)

    def may_be_told(self, username: str, item: Item) -> bool:
        """Whether that user may read what the item is about."""
        audience = item.audience
        return (
            audience is None
            or username == audience.username
            or audience.privilege in self._privileges_of(username)
        )

    def with_origins(self, username: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """An Event payload with the resources that it is about, as far as that user may read them.

        May wait for a host elsewhere.
        """
        return with_origins(body, functools.partial(self.read, username))

    def note_resource(
        self, key: str, origin: str, origin_type: str | None, audience: Audience | None = None
    ) -> None:
        """Tell that a resource was `ResourceCreated`, `…Changed` or `…Removed`."""
        self.publish(
            happening(
                f"{RESOURCE}.{key}",
                at_s=self._clock.unix_ns() / 1e9,
                origin=origin,
                origin_type=origin_type,
                audience=audience,
            )
        )

    def subscribe(self, subscription: Subscription) -> None:
        """Keep a subscription and begin to send; ConflictError, StateError."""
        with self._lock:
            self.store.add(subscription)
            self._deliver(subscription)

    def change(self, subscription_id: str, **changes: Any) -> None:
        """Change one; what waits is sent as it says from now on, or dropped where it is suspended.

        NotFoundError.
        """
        with self._lock:
            changed = self.store.change(subscription_id, **changes)
            known = self._deliveries.get(subscription_id)
            if known is None:
                self._deliver(changed)
            elif changed.suspended:
                del self._deliveries[subscription_id]
                known.stop()
            else:
                known.change(changed)

    def unsubscribe(self, subscription_id: str) -> None:
        """Delete a subscription, or end a stream; NotFoundError."""
        with self._lock:
            stream = self._streams.get(subscription_id)
            if stream is None:
                self.store.remove(subscription_id)
            delivery = self._deliveries.pop(subscription_id, None)
        if stream is not None:
            self.end_stream(stream)
            stream.close()
        if delivery is not None:
            delivery.stop()

    def end_streams(self) -> None:
        """End every stream with what it has sent by now."""
        for stream in self.streams():
            stream.close()

    def streams(self) -> tuple[Stream, ...]:
        """All that are open."""
        with self._lock:
            return tuple(self._streams.values())

    def stream(self, stream_id: str) -> Stream:
        """One that is open; NotFoundError."""
        with self._lock:
            try:
                return self._streams[stream_id]
            except KeyError:
                raise NotFoundError(f"no subscription {stream_id!r}") from None

    def open_stream(
        self, peer: str, outbox: Outbox, close: Callable[[], None], after: int | None
    ) -> Stream:
        """Begin to offer events to a stream; ConflictError where 16 are open."""
        stream = Stream(str(uuid.uuid4()), peer, "", outbox, close)
        with self._lock:
            if len(self._streams) >= MAX_STREAMS:
                raise ConflictError(f"{MAX_STREAMS} event streams are open already")
            self._streams[stream.id] = stream
        self.bus.attach(outbox, after)
        self.note_resource("ResourceCreated", f"{SUBSCRIPTIONS}/{stream.id}", "EventDestination")
        return stream

    def end_stream(self, stream: Stream) -> None:
        """Forget a stream that has ended; one that is forgotten already stays so."""
        self.bus.detach(stream.outbox)
        with self._lock:
            known = self._streams.pop(stream.id, None)
        if known is not None:
            self.note_resource(
                "ResourceRemoved", f"{SUBSCRIPTIONS}/{stream.id}", "EventDestination"
            )

    def _deliver(self, subscription: Subscription) -> None:
        if subscription.suspended or not self._running:
            return
        delivery = Delivery(
            subscription,
            self.bus,
            self._config,
            lambda: self.store.settings,
            self._gave_up,
            functools.partial(self.may_be_told, subscription.owner),
            functools.partial(self.read, subscription.owner),
        )
        self._deliveries[subscription.id] = delivery
        delivery.start()

    def _gave_up(self, delivery: Delivery, subscription_id: str) -> None:
        """The end of a delivery's attempts: what its policy says, unless it was replaced."""
        try:
            with self._lock:
                if self._deliveries.get(subscription_id) is not delivery:
                    return
                del self._deliveries[subscription_id]
                subscription = self.store.get(subscription_id)
                if subscription.policy == "TerminateAfterRetries":
                    self.store.remove(subscription_id)
                    key, done = "ResourceRemoved", "deleted"
                else:
                    self.store.change(subscription_id, suspended=True)
                    key, done = "ResourceChanged", "suspended"
        except DcpiError:
            _LOG.exception("subscription %s: its end could not be kept", subscription_id)
            return
        _LOG.warning("subscription %s to %s is %s: its listener does not take events",
                     subscription_id, subscription.destination, done)  # fmt: skip
        self.note_resource(key, f"{SUBSCRIPTIONS}/{subscription_id}", "EventDestination")
