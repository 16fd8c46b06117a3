"""Pushing to one destination: in order, with retries, in a thread of its own."""

from __future__ import annotations

import http.client
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from bmc_ext.redfish.events.bus import EventBus
from bmc_ext.redfish.events.listener import Listener
from bmc_ext.redfish.events.origin import Read, with_origins
from bmc_ext.redfish.events.outbox import Item, Outbox
from bmc_ext.redfish.events.store import Settings
from bmc_ext.redfish.events.subscription import Subscription
from bmc_ext.settings import EventsConfig

_LOG = logging.getLogger(__name__)

_LONGEST_BACKOFF_S = 600.0


class Delivery:
    """Sends what one subscription wants.

    `may_be_told` says what its owner may know, `read` what its owner may read. `give_up` is told
    this delivery and the subscription's id once the attempts of SuspendRetries or
    TerminateAfterRetries are used up; the thread has ended then. The event at which it gave up is
    lost with those that wait behind it.
    """

    def __init__(
        self,
        subscription: Subscription,
        bus: EventBus,
        config: EventsConfig,
        settings: Callable[[], Settings],
        give_up: Callable[[Delivery, str], None],
        may_be_told: Callable[[Item], bool],
        read: Read,
    ) -> None:
        self._subscription = subscription
        self._bus = bus
        self._settings = settings
        self._give_up = give_up
        self._read = read
        self._listener = Listener(
            subscription.destination,
            verify_certificate=subscription.verify_certificate,
            config=config,
        )
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._changed = threading.Event()
        self._complained = False
        self._next_beat_s = time.monotonic() + (subscription.heartbeat_s or 0.0)
        self._outbox = Outbox(
            lambda item: subscription.wanted.accepts(item) and may_be_told(item), self._news.set
        )
        self._thread = threading.Thread(
            target=self._run, name=f"event-delivery-{subscription.id[:8]}", daemon=True
        )

    def start(self) -> None:
        """Begin to listen and to send."""
        self._bus.attach(self._outbox)
        self._thread.start()

    def change(self, subscription: Subscription) -> None:
        """Go on as the changed subscription says, with what waits; what has failed is tried anew.

        Filters and destination stay.
        """
        self._subscription = subscription
        self._listener.verify(subscription.verify_certificate)
        self._changed.set()

    def stop(self) -> None:
        """End without waiting; an event that is under way may or may not have arrived."""
        self._bus.detach(self._outbox)
        self._stopping.set()
        self._changed.set()
        self._news.set()
        self._listener.abort()

    def join(self, timeout_s: float) -> None:
        """Wait so long for the end after `stop`: a connection that is being made takes 5 s."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._news.wait(self._until_beat_s())
                self._news.clear()
                if not (self._drain() and self._beat()):
                    self._bus.detach(self._outbox)
                    self._give_up(self, self._subscription.id)
                    return
        finally:
            self._listener.close()

    def _drain(self) -> bool:
        """Send all that waits; False when it is time to give up."""
        while not self._stopping.is_set():
            dropped, item = self._outbox.take()
            if dropped != 0 and not self._deliver(self._bus.lost_notice(dropped)):
                return False
            if item is None:
                return True
            if not self._deliver(item.body):
                return False
        return True

    def _until_beat_s(self) -> float | None:
        if self._subscription.heartbeat_s is None:
            return None
        return max(0.0, self._next_beat_s - time.monotonic())

    def _beat(self) -> bool:
        """Send the heartbeat if one is due; False when it is time to give up."""
        interval_s, now_s = self._subscription.heartbeat_s, time.monotonic()
        if interval_s is None or now_s < self._next_beat_s:
            return True
        # Those that a listener was not there for are not made up for.
        late_s = now_s - self._next_beat_s
        self._next_beat_s += interval_s if late_s < interval_s else late_s + interval_s
        if not self._settings().enabled:
            return True
        return self._deliver(self._bus.heartbeat())

    def _deliver(self, body: Mapping[str, Any]) -> bool:
        """Send one payload until it has arrived; False when the attempts are used up."""
        if self._subscription.include_origin and "Events" in body:
            body = with_origins(body, self._read)
        failures = 0
        self._changed.clear()
        while not self._stopping.is_set():
            if self._send(body):
                return True
            failures += 1
            if self._is_enough(failures) and not self._changed.is_set():
                return False
            if self._changed.wait(self._pause_s(failures)):
                self._changed.clear()
                failures = 0
        return True

    def _send(self, body: Mapping[str, Any]) -> bool:
        """Whether the listener took it."""
        subscription = self._subscription
        context = {} if subscription.context is None else {"Context": subscription.context}
        data = orjson.dumps({**body, **context})
        try:
            status = self._listener.post(data, subscription.headers)
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = str(error) or type(error).__name__
        else:
            if 200 <= status < 300:
                self._complained = False
                return True
            reason = f"it answered {status}"
        if not self._complained and not self._stopping.is_set():
            _LOG.warning("events do not reach %s: %s", self._subscription.destination, reason)
            self._complained = True
        return False

    def _is_enough(self, failures: int) -> bool:
        forever = self._subscription.policy.startswith("RetryForever")
        return not forever and failures > self._settings().retry_attempts

    def _pause_s(self, failures: int) -> float:
        interval_s = float(self._settings().retry_interval_s)
        if self._subscription.policy != "RetryForeverWithBackoff":
            return interval_s
        longest_s = max(_LONGEST_BACKOFF_S, interval_s)
        return min(interval_s * 2.0 ** min(failures - 1, 32), longest_s)
