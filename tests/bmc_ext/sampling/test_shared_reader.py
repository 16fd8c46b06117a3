"""Many sources read in one thread: their windows are those that each would give alone."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from waveform_generator import MEAN_POWER_W, Generator, Windows, eventually, three_phases

from bmc_ext.sampling import Analysis, analyze
from bmc_ext.sampling.sampler import Sampler
from bmc_ext.sampling.shared_reader import SharedReader
from bmc_ext.sampling.window_batch import Setting, WindowBatch
from drivers.errors import TransportError
from drivers.waveforms.block import Block
from drivers.waveforms.stream import StreamSource

Start = Callable[[Generator], tuple[Sampler, Windows]]


@pytest.fixture
def reader() -> SharedReader:
    """A reader without any source."""
    return SharedReader()


@pytest.fixture
def start(reader: SharedReader) -> Iterator[Start]:
    """Start a sampler on the reader; all are stopped at the end."""
    samplers: list[Sampler] = []

    def begin(generator: Generator) -> tuple[Sampler, Windows]:
        windows = Windows()
        name = f"feed_{len(samplers)}"
        source = StreamSource("127.0.0.1", generator.port)
        sampler = Sampler(name, source, windows, nominal_hz=50.0, reader=reader)
        samplers.append(sampler)
        sampler.start()
        return sampler, windows

    yield begin
    for sampler in samplers:
        sampler.stop()


def reading_threads() -> int:
    """How many readers run."""
    return sum(thread.name == "sources" for thread in threading.enumerate())


def test_streams_of_several_rates_share_a_thread(start: Start) -> None:
    """Each has its own windows, whole, in order and right, and one thread reads all of them."""
    with Generator() as first, Generator() as second, Generator(4096.0, 100) as third:
        all_windows = [start(generator)[1] for generator in (first, second, third)]
        for number, windows in enumerate(all_windows):
            seen = windows.wait(8)
            ids = [window.window_id for window in seen]
            assert ids == list(range(ids[0], ids[0] + 8))
            assert {window.feed_id for window in seen} == {f"feed_{number}"}
            for window in seen:
                assert window.analysis is not None
                assert [phase.p_mean_w for phase in window.analysis.phases] == pytest.approx(
                    [MEAN_POWER_W] * 3, rel=5e-3
                )
        assert reading_threads() == 1


def test_one_that_is_lost_leaves_the_others_alone(start: Start) -> None:
    """Its torn window comes in its order, it is opened again, and no other window is missing."""
    with Generator() as lost, Generator() as other:
        sampler, windows = start(lost)
        _, others = start(other)
        windows.wait(3)
        lost.hang_up.set()
        assert eventually(lambda: lost.connections == 2, 2.0)
        seen = windows.wait(len(windows.seen) + 4)
        ids = [window.window_id for window in seen]
        assert ids == sorted(set(ids))
        assert any("gap" in window.flags and window.analysis is None for window in seen)
        assert sampler.windows_missed >= 1
        ids = [window.window_id for window in others.wait(len(others.seen))]
        assert ids == list(range(ids[0], ids[0] + len(ids)))


def test_lost_samples_tear_a_window_in_its_place(start: Start) -> None:
    """Torn windows need no analysis, but do not overtake those that wait for theirs."""
    with Generator() as generator:
        generator.lose = range(5120, 5760)
        seen = start(generator)[1].wait(9)
    ids = [window.window_id for window in seen]
    assert ids == list(range(ids[0], ids[0] + 9))
    torn = [window for window in seen if "gap" in window.flags]
    assert sum(window.expected - window.samples for window in torn) == 640


def test_the_thread_goes_with_its_last_source_and_comes_back(start: Start) -> None:
    """Stopping waits for nobody although the peer is silent; a later source is read."""
    with Generator() as generator:
        sampler, windows = start(generator)
        windows.wait(2)
        begun_s = time.monotonic()
        sampler.stop()
        assert time.monotonic() - begun_s < 5
        assert eventually(lambda: reading_threads() == 0)
        seen = len(windows.seen)
        sampler.start()
        windows.wait(seen + 2)


def test_half_a_frame_does_not_hold_up_the_others(start: Start, reader: SharedReader) -> None:
    """A peer that stops within a frame is found silent; the other's windows go on meanwhile."""
    greeting = b'{"protocol": "dcpi-waveform/1", "phases": 1, "sample_rate_hz": 100, "epoch_ns": 0,'
    greeting += b' "dtype": "<f4"}\n'
    with Generator() as whole, socket.create_server(("127.0.0.1", 0)) as halting:
        _, windows = start(whole)
        windows.wait(1)
        source = StreamSource("127.0.0.1", halting.getsockname()[1])
        peer: list[socket.socket] = []

        def send() -> None:
            peer.append(halting.accept()[0])
            peer[0].sendall(greeting + struct.pack("<4sIQ", b"DCPW", 10, 0) + bytes(20))

        sending = threading.Thread(target=send)
        sending.start()
        source.open()
        sending.join()
        with pytest.raises(TransportError, match="silent for 1 s"):
            reader.follow(Ignoring(), source)
        source.close()
        peer[0].close()
        seen = windows.wait(len(windows.seen) + 1)
    ids = [window.window_id for window in seen]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert len(ids) > 8


class Ignoring:
    """A member that never stops."""

    is_stopping = False

    def take(self, block: Block) -> bool:
        """Any block will do."""
        return bool(block.samples.size)


def test_a_sampler_that_fails_is_told_so_in_its_own_thread(reader: SharedReader) -> None:
    """What a member raises ends that member only, and is raised where it waits."""

    class Failing:
        is_stopping = False

        def take(self, block: Block) -> bool:  # noqa: ARG002  # as the protocol has it
            raise RuntimeError("no room")

    with Generator() as generator:
        source = StreamSource("127.0.0.1", generator.port)
        source.open()
        with pytest.raises(RuntimeError, match="no room"):
            reader.follow(Failing(), source)
        source.close()


def test_a_batch_is_what_each_window_is_alone() -> None:
    """Every number of it, in the order of `add`, though rates, lengths and skews differ."""
    batch = WindowBatch()
    found: list[Analysis | None] = []
    expected: list[Analysis | None] = []
    for number in range(12):
        rate_hz = (12_800.0, 4_800.0)[number % 2]
        setting = Setting(rate_hz, 50.0, (1e-5 * (number % 3),) * 3)
        samples = three_phases(rate_hz, 37 * number, int(rate_hz / 10)) * (1 + number)
        expected.append(
            analyze(samples[:3], samples[3:], rate_hz, nominal_hz=50.0, skew_s=setting.skew_s)
        )
        batch.add(found.append, samples, setting)
        samples[:] = np.nan  # only valid during the call
    batch.add(found.append, np.ones((6, 10)), Setting(-1.0, 50.0, (0.0,) * 3))
    batch.add_finished(found.append)
    batch.complete()
    assert found[12:] == [None, None]
    for one, other in zip(found, expected, strict=False):
        assert one is not None
        assert other is not None
        assert one.total == other.total
        assert one.frequency_hz == other.frequency_hz
        for mine, yours in zip(one.phases, other.phases, strict=True):
            np.testing.assert_array_equal(np.hstack(mine), np.hstack(yours))
    batch.complete()
    assert len(found) == 14


def test_a_window_that_is_not_taken_does_not_stop_the_rest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is logged, and the next one is finished."""
    batch, found = WindowBatch(), list[Analysis | None]()

    def refuse(_: Analysis | None) -> None:
        raise ValueError("not mine")

    batch.add_finished(refuse)
    batch.add_finished(found.append)
    batch.complete()
    assert found == [None]
    assert "not mine" in caplog.text
