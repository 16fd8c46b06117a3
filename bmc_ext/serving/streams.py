"""The power stream: one WebSocket frame per window, resumable, bounded for every client."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import orjson

from bmc_ext.clock import Clock
from bmc_ext.domain.snapshot import Snapshot
from bmc_ext.messages.envelope import envelope
from bmc_ext.messages.power import power_stream
from bmc_ext.serving.bridge import Receive, Scope, Send
from bmc_ext.telemetry.snapshot import SnapshotStore

KEPT_FRAMES = 600
"""A client may fall behind, or resume, by as many frames: one minute."""

_SEQ = re.compile(r"[0-9]{1,18}")  # longer than any seq; int() refuses 4301 digits
_RECHECK_S = 1.0
_POLICY_VIOLATION = 1008  # RFC 6455 7.4.1
_GOING_AWAY = 1001  # RFC 6455 7.4.1


class PowerStream:
    """Renders each snapshot once; every client keeps only its place in the common buffer."""

    def __init__(self, snapshots: SnapshotStore, facility_id: str, clock: Clock) -> None:
        self._snapshots = snapshots
        self._facility_id = facility_id
        self._clock = clock
        self._frames: deque[tuple[int, bytes]] = deque(maxlen=KEPT_FRAMES)
        self._seq = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()
        self._closing = False

    def open(self) -> None:
        """Listen to the snapshots; called on the event loop."""
        self._loop = asyncio.get_running_loop()
        self._snapshots.subscribe(self._on_snapshot)

    def close(self) -> None:
        """Say goodbye to every client; called on the event loop."""
        self._snapshots.unsubscribe(self._on_snapshot)
        self._closing = True
        self._wake()

    def _on_snapshot(self, snapshot: Snapshot) -> None:
        """Called by the thread that publishes the snapshots."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._publish, snapshot)

    def _publish(self, snapshot: Snapshot) -> None:
        self._seq += 1
        header = envelope(
            "power_stream",
            facility_id=self._facility_id,
            correlation_id=f"stream-{self._seq}",
            now_s=self._clock.unix_ns() / 1e9,
        )
        frame = {**header, "dropped": 0, **power_stream(snapshot, seq=self._seq)}
        # Rendered only: a minute of objects would be looked through by each garbage collection.
        self._frames.append((self._seq, orjson.dumps(frame)))
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def serve(
        self, scope: Scope, receive: Receive, send: Send, allowed: Callable[[], bool]
    ) -> None:
        """Feed one accepted client until it leaves (OSError) or `allowed` says no."""
        await send({"type": "websocket.accept"})
        gone = asyncio.create_task(_until_gone(receive))
        feeding = asyncio.create_task(self._feed(_since(scope), send, allowed))
        done, pending = await asyncio.wait((gone, feeding), return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for task in done:
            task.result()

    async def _feed(self, since: int | None, send: Send, allowed: Callable[[], bool]) -> None:
        cursor = self._seq if since is None or since > self._seq else since
        next_check = 0.0
        loop = asyncio.get_running_loop()
        while not self._closing:
            if loop.time() >= next_check:
                if not allowed():
                    await _tell(send, {"type": "websocket.close", "code": _POLICY_VIOLATION})
                    return
                next_check = loop.time() + _RECHECK_S
            news = self._news
            if cursor >= self._seq:
                await news.wait()
                continue
            cursor = await self._send_next(cursor, send)
        await _tell(send, {"type": "websocket.close", "code": _GOING_AWAY})

    async def _send_next(self, cursor: int, send: Send) -> int:
        """Send the oldest kept frame after `cursor`, saying how many were lost; its seq."""
        oldest = self._frames[0][0]
        index = max(cursor + 1 - oldest, 0)
        seq, rendered = self._frames[index]
        dropped = seq - cursor - 1
        if dropped:
            rendered = orjson.dumps({**orjson.loads(rendered), "dropped": dropped})
        await _tell(send, {"type": "websocket.send", "text": rendered.decode()})
        return seq


async def _tell(send: Send, message: dict[str, Any]) -> None:
    """Send to an accepted client; ConnectionResetError where the stream is closed already."""
    try:
        await send(message)
    except RuntimeError as error:
        # uvicorn's word, which ASGI does not know, for a client that answered no ping.
        raise ConnectionResetError(str(error)) from error


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "websocket.disconnect":
        pass


def _since(scope: Scope) -> int | None:
    """The `since` of the query: the last seq that the client has seen."""
    values = parse_qs(scope["query_string"].decode("latin-1")).get("since", [])
    return int(values[0]) if values and _SEQ.fullmatch(values[0]) else None
