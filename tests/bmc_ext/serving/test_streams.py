"""The power stream without a network: what a slow or odd client gets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any

import pytest

from bmc_ext.clock import SystemClock
from bmc_ext.domain.power import total_of
from bmc_ext.domain.snapshot import Snapshot
from bmc_ext.serving.streams import KEPT_FRAMES, PowerStream
from bmc_ext.telemetry.snapshot import SnapshotStore

LOST = 50


class SlowClient:
    """Takes the acceptance and then nothing until `reads` is set; keeps what it got."""

    def __init__(self) -> None:
        self.reads = asyncio.Event()
        self.frames: list[dict[str, Any]] = []

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """One ASGI event for the client."""
        if message["type"] == "websocket.send":
            await self.reads.wait()
            self.frames.append(json.loads(message["text"]))

    async def receive(self) -> MutableMapping[str, Any]:
        """It says nothing."""
        await asyncio.Event().wait()
        return {}


def publish(store: SnapshotStore, first: int, count: int) -> None:
    """So many windows."""
    for window_id in range(first, first + count):
        store.publish(Snapshot(window_id, None, total_of(()), (), (), ()))


async def stream_to(client: SlowClient, query: str, expected: int) -> None:
    """Serve the client while more windows come than are kept, until it has `expected` frames."""
    store = SnapshotStore()
    stream = PowerStream(store, "site", SystemClock())
    stream.open()
    scope = {"query_string": query.encode()}
    serving = asyncio.ensure_future(stream.serve(scope, client.receive, client.send, lambda: True))
    await asyncio.sleep(0.01)
    publish(store, 1, 1)
    await asyncio.sleep(0.01)  # it is now busy with the first frame
    publish(store, 2, KEPT_FRAMES + LOST)
    await asyncio.sleep(0.05)
    client.reads.set()
    while len(client.frames) < expected:
        await asyncio.sleep(0.001)
    stream.close()
    await serving


def test_a_client_that_does_not_read_is_told_what_it_lost() -> None:
    """Only one minute is kept for all; the first frame after a gap names its length."""

    async def scenario() -> list[dict[str, Any]]:
        client = SlowClient()
        await asyncio.wait_for(stream_to(client, "", KEPT_FRAMES + 1), 10)
        return client.frames

    frames = asyncio.run(scenario())
    assert [frame["dropped"] for frame in frames[:3]] == [0, LOST, 0]
    assert [frame["seq"] for frame in frames[:3]] == [1, LOST + 2, LOST + 3]
    assert frames[-1]["seq"] == KEPT_FRAMES + LOST + 1


@pytest.mark.parametrize("since", ["-1", "1e99", "9" * 4400, "%ff", "%D9%A3", "", "1&since=x"])
def test_any_since_is_served(since: str) -> None:
    """A since that is no seq of this stream starts with the present."""

    async def scenario() -> list[dict[str, Any]]:
        client = SlowClient()
        client.reads.set()
        await asyncio.wait_for(stream_to(client, f"since={since}", 1), 5)
        return client.frames

    assert asyncio.run(scenario())[0]["seq"] == 1


def test_a_stream_that_the_server_has_closed_is_a_client_that_left() -> None:
    """A client that answers no ping is closed by the server: the next frame finds that out."""

    class Mute(SlowClient):
        async def send(self, message: MutableMapping[str, Any]) -> None:
            """Refuse frames as uvicorn does after its own close."""
            if message["type"] == "websocket.send":
                raise RuntimeError("after sending 'websocket.close'")

    with pytest.raises(ConnectionResetError):
        asyncio.run(asyncio.wait_for(stream_to(Mute(), "", 0), 5))
