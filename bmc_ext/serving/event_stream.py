"""Server-sent events (DSP0266 12.5): filtered, resumable, bounded for every client."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import orjson

from bmc_ext.errors import ConflictError
from bmc_ext.redfish.dispatch import HEADERS
from bmc_ext.redfish.events.bus import KEPT_EVENTS
from bmc_ext.redfish.events.eventing import Eventing
from bmc_ext.redfish.events.outbox import CAPACITY, FACTS, Item, Outbox
from bmc_ext.redfish.filter_expression import parse_filter
from bmc_ext.serving.bridge import Receive, Scope, Send, encoded

_LOG = logging.getLogger(__name__)

HEARTBEAT_S = 5.0
"""A comment line comes at least so often: a client that has gone is noticed."""

_LAST_EVENT = re.compile(rb"([0-9]{1,18})(\.[0-9]{1,18})?")
_RECHECK_S = 1.0


class StreamRefusedError(Exception):
    """The stream cannot be opened; `status` is what the client is answered."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Asked(NamedTuple):
    """What a client wants to get and may; with `origins` the resources that events are about."""

    username: str
    accepts: Callable[[Item], bool]
    origins: bool


class EventStream:
    """Serves one stream a call; clients share nothing but the event service."""

    def __init__(self, eventing: Eventing) -> None:
        self._eventing = eventing

    def check(self, scope: Scope, headers: Mapping[bytes, bytes], username: str) -> Asked:
        """What the client wants; StreamRefusedError for what cannot be."""
        accepted = headers.get(b"accept", b"*/*").decode("latin-1").split(",")
        kinds = {kind.partition(";")[0].strip().lower() for kind in accepted}
        if not kinds & {"text/event-stream", "text/*", "*/*"}:
            raise StreamRefusedError(406, "this is a stream: accept text/event-stream")
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        unknown = [name for name in query if name.startswith("$") and name != "$filter"]
        if unknown:
            raise StreamRefusedError(501, f"the query parameter {unknown[0]} is not supported")
        origins = _flag(query, "includeoriginofcondition")
        if "$filter" not in query:
            allowed = functools.partial(self._eventing.may_be_told, username)
            return Asked(username, allowed, origins)
        try:
            test = parse_filter(query["$filter"][0], FACTS)
        except ValueError as error:
            raise StreamRefusedError(400, f"$filter: {error}") from error

        def accepts(item: Item) -> bool:
            return test(item.facts) and self._eventing.may_be_told(username, item)

        return Asked(username, accepts, origins)

    async def serve(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        asked: Asked,
        allowed: Callable[[], bool],
    ) -> None:
        """Feed one client until it leaves, its subscription is deleted or `allowed` says no.

        StreamRefusedError, before anything is sent, where there are too many streams.
        """
        loop = asyncio.get_running_loop()
        news, ended = asyncio.Event(), asyncio.Event()
        # There is room for all that a stream may be resumed from, and for what comes meanwhile.
        outbox = Outbox(asked.accepts, _call_on(loop, news.set), KEPT_EVENTS + CAPACITY)

        def finish() -> None:
            ended.set()
            news.set()

        end = _call_on(loop, finish)
        peer = _peer(scope)
        after = _last_event(dict(scope["headers"]).get(b"last-event-id", b""))
        try:
            stream = self._eventing.open_stream(peer, outbox, end, after)
        except ConflictError as error:
            raise StreamRefusedError(503, str(error)) from error
        try:
            headers = {**HEADERS, "Content-Type": "text/event-stream; charset=utf-8"}
            start = {"type": "http.response.start", "status": 200}
            await send({**start, "headers": encoded(headers.items())})
            feeding = asyncio.ensure_future(
                self._feed(send, outbox, asked, stream.context, news, ended, allowed)
            )
            gone = asyncio.ensure_future(_until_gone(receive))
            done, pending = await asyncio.wait((feeding, gone), return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
            for task in done:
                task.result()
        except OSError:
            return  # the client has gone
        except Exception:
            _LOG.exception("the event stream to %s failed", peer)
        finally:
            self._eventing.end_stream(stream)

    async def _feed(
        self,
        send: Send,
        outbox: Outbox,
        asked: Asked,
        context: str,
        news: asyncio.Event,
        ended: asyncio.Event,
        allowed: Callable[[], bool],
    ) -> None:
        loop = asyncio.get_running_loop()
        await _write(send, b": events follow\n\n")
        beat_s = loop.time() + HEARTBEAT_S
        while not ended.is_set() and allowed():
            dropped, item = outbox.take()
            if dropped != 0:
                notice = self._eventing.bus.lost_notice(dropped)
                await _write(send, _event(None, {**notice, "Context": context}))
            if item is not None:
                body = await self._shown(item.body, asked)
                await _write(send, _event(item.id, {**body, "Context": context}))
                beat_s = loop.time() + HEARTBEAT_S
                await asyncio.sleep(0)  # a long queue must not keep the loop from all others
                continue
            if loop.time() >= beat_s:
                await _write(send, b": still here\n\n")
                beat_s = loop.time() + HEARTBEAT_S
            with contextlib.suppress(TimeoutError):
                # Not wait_for: that of Python 3.11 can swallow its task's cancellation.
                async with asyncio.timeout(_RECHECK_S):
                    await news.wait()
            news.clear()
        await send({"type": "http.response.body", "body": b""})

    async def _shown(self, body: Mapping[str, Any], asked: Asked) -> Mapping[str, Any]:
        """A payload, with its origins for who wants them: a thread reads them, which may wait."""
        if not asked.origins or "Events" not in body:
            return body
        return await asyncio.to_thread(self._eventing.with_origins, asked.username, body)


def _flag(query: Mapping[str, list[str]], name: str) -> bool:
    """A query parameter that is there or not; StreamRefusedError where it has another value."""
    value = query.get(name, ["false"])[0].lower()
    if value not in ("", "true", "false"):
        raise StreamRefusedError(400, f"the query parameter {name} is neither true nor false")
    return value != "false"


def _call_on(loop: asyncio.AbstractEventLoop, work: Callable[[], object]) -> Callable[[], None]:
    """`work` on the event loop, for any thread; nothing where the loop has ended."""

    def call() -> None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(work)

    return call


def _event(item_id: str | None, body: Mapping[str, object]) -> bytes:
    """One event of the stream; without an id it is no place to resume from."""
    head = b"" if item_id is None else b"id: " + item_id.encode("ascii") + b"\n"
    return head + b"data: " + orjson.dumps(body) + b"\n\n"


async def _write(send: Send, data: bytes) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": True})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _last_event(header: bytes) -> int | None:
    """The number of the last event that the client has seen; None where it says none."""
    match = _LAST_EVENT.fullmatch(header)
    return None if match is None else int(match[1])


def _peer(scope: Scope) -> str:
    """Address and port of the client, as a URI holds them."""
    host, port = scope.get("client") or ("unknown", 0)
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
