"""Lanes: a bounded queue before a few threads."""

from __future__ import annotations

import asyncio
import threading

import pytest

from bmc_ext.serving.lanes import Lane, LaneFullError


def test_a_full_lane_refuses_at_once_and_takes_work_again() -> None:
    """One running and one waiting fill the lane; when they are done it has room."""

    async def scenario() -> None:
        go_on = threading.Event()
        with Lane("test", threads=1, waiting=1) as lane:
            held = [asyncio.ensure_future(lane.run(go_on.wait, 5)) for _ in range(2)]
            await asyncio.sleep(0)
            with pytest.raises(LaneFullError):
                await lane.run(int)
            go_on.set()
            assert await asyncio.gather(*held) == [True, True]
            assert await lane.run(int, "7") == 7

    asyncio.run(scenario())


def test_work_that_nobody_waits_for_still_takes_its_place() -> None:
    """A client that leaves makes no room: its thread is busy until the work is done."""

    async def scenario() -> None:
        go_on = threading.Event()
        with Lane("test", threads=1, waiting=0) as lane:
            left = asyncio.ensure_future(lane.run(go_on.wait, 5))
            await asyncio.sleep(0)
            left.cancel()
            await asyncio.sleep(0)
            with pytest.raises(LaneFullError):
                await lane.run(int)
            go_on.set()
            while True:
                try:
                    assert await lane.run(int) == 0
                    return
                except LaneFullError:
                    await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(scenario(), 5))


def test_an_error_of_the_work_reaches_the_caller() -> None:
    """What the work raises is raised where it was asked for, and its place is free again."""

    async def scenario() -> None:
        with Lane("test", threads=1, waiting=0) as lane:
            for _ in range(2):
                with pytest.raises(ValueError, match="invalid literal"):
                    await lane.run(int, "x")

    asyncio.run(scenario())
