"""Many clients of the power stream in one process; prints what they saw as one JSON line.

    python -m tests.benchmarks.listeners URL COUNT SECONDS HEADER

Each one checks the seq of every frame. The first one reads its frames whole and counts the windows
of feeds whose quality is ok.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import sys
from typing import Any

from websockets.asyncio.client import connect

_SEQ = re.compile(r'"seq":(\d+)')
RAMP_UP_S = 3.0
_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_TLS.check_hostname = False
_TLS.verify_mode = ssl.CERT_NONE


class Listener:
    """One client; `lost` are frames that it should have got and did not."""

    def __init__(self) -> None:
        self.frames = 0
        self.lost = 0
        self.kept: list[str] = []

    async def listen(self, url: str, seconds: float, header: dict[str, str], keep: bool) -> None:
        """Take frames for so long, counted from when all others have connected."""
        loop = asyncio.get_running_loop()
        begin = loop.time() + RAMP_UP_S  # all others have connected by then
        last: int | None = None
        async with connect(url, ssl=_TLS, additional_headers=header, compression=None) as stream:
            async for frame in stream:
                assert isinstance(frame, str)
                found = _SEQ.search(frame)
                assert found is not None
                seq = int(found[1])
                if last is not None:
                    self.lost += seq - last - 1
                last = seq
                if loop.time() < begin:
                    continue
                self.frames += 1
                if keep:
                    self.kept.append(frame)
                if loop.time() > begin + seconds:
                    return


def windows(frames: list[str]) -> dict[str, Any]:
    """How many windows of feeds the frames should tell of, and how many are known."""
    read = [json.loads(frame) for frame in frames]
    feeds = len(read[0]["feeds"])
    expected = (read[-1]["window_id"] - read[0]["window_id"] + 1) * feeds
    good = sum(feed["quality"] == "ok" for frame in read for feed in frame["feeds"])
    return {"windows_expected": expected, "windows_ok": good}


async def main(url: str, count: int, seconds: float, header: str) -> None:
    """Listen and print."""
    name, _, value = header.partition(": ")
    listeners = [Listener() for _ in range(count)]
    async with asyncio.TaskGroup() as tasks:
        for number, listener in enumerate(listeners):
            tasks.create_task(listener.listen(url, seconds, {name: value}, number == 0))
    found = {
        "frames": sum(listener.frames for listener in listeners),
        "least_frames": min(listener.frames for listener in listeners),
        "lost": sum(listener.lost for listener in listeners),
    }
    print(json.dumps({**found, **windows(listeners[0].kept)}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]))
