"""From a waveform source to analysed windows on the UTC 100 ms grid."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from bmc_ext.clock import WINDOW_NS, Clock, SystemClock
from bmc_ext.sampling import Analysis, analyze
from bmc_ext.sampling.channel_calibration import (
    NO_CONFIDENCE,
    ChannelCalibrations,
    Confidence,
)
from bmc_ext.sampling.grid import CutWindow
from bmc_ext.sampling.shared_reader import PolledSource, SharedReader
from bmc_ext.sampling.timeline import TimeBase, Timeline
from bmc_ext.sampling.window_batch import Setting, WindowBatch
from drivers.errors import DriverError
from drivers.waveforms.block import Block, Samples, WaveformSource

_log = logging.getLogger(__name__)

_READ_TIMEOUT_S = 0.2
_FIRST_RETRY_S = 0.1
_LAST_RETRY_S = 1.0
_CLOCK_STEP_NS = 1_000_000_000
"""A source whose windows move this far against the system clock is opened again."""


class Window(NamedTuple):
    """One 100 ms window of one feed.

    `window_id` = floor(Unix time / 0.1 s) of its start, `start_ns` that time in ns. `analysis` is
    None when samples are missing (`samples` < `expected`, flag `gap`) or when the window cannot be
    analysed (flag `unusable`); other flags are the source's own, for example `seam`. `rate_error`
    bounds the relative error of `sample_rate_hz`, with which the window was analysed, and
    `time_error_s` that of the samples' times, both against the system clock. `confidence` is what
    the channels' certificates say, nothing without any.
    """

    feed_id: str
    window_id: int
    start_ns: int
    phases: int
    analysis: Analysis | None
    flags: tuple[str, ...]
    samples: int
    expected: int
    sample_rate_hz: float | None = None
    rate_error: float = 0.0
    time_error_s: float = 0.0
    confidence: Confidence = NO_CONFIDENCE

    @property
    def duration_s(self) -> float:
        """What its samples span in s: a window is 100 ms but for the samples at its ends."""
        return WINDOW_NS * 1e-9 if not self.sample_rate_hz else self.samples / self.sample_rate_hz


class BlockObserver(Protocol):
    """One that sees a feed's samples as they come, before they are cut into windows."""

    def begin(self, source: WaveformSource) -> None:
        """The source is open (again): its attributes hold, the sample index starts anew."""

    def take(self, block: Block) -> None:
        """The next block; its samples are only valid during the call."""


@runtime_checkable
class TimedObserver(BlockObserver, Protocol):
    """An observer that also wants the time of a source that does not keep UTC by itself."""

    def set_time(self, index: int, utc_ns: int, sample_rate_hz: float) -> None:
        """As measured: when sample `index` was taken, and the rate of those beside it."""


class Sampler:
    """One thread that reads a source, cuts its samples into windows and hands them on.

    `emit` and the observers are called in that thread, in the order of time. A lost source is
    opened again, at first after 0.1 s and never more than 1 s apart. Time is the source's sample
    count. Of a source that keeps UTC by itself, `clock` only tells whether its time and the
    system's have moved apart, which opens it again; the rate and phase of another one are measured
    against the system clock (see Timeline). `calibration` corrects the channels that have a
    certificate.

    With a `reader` the source, if it can be polled, is read in the reader's thread, together with
    those of other samplers; the sampler's own only opens it and waits.
    """

    def __init__(
        self,
        feed_id: str,
        source: WaveformSource,
        emit: Callable[[Window], None],
        *,
        nominal_hz: float | None = None,
        clock: Clock | None = None,
        observers: Sequence[BlockObserver] = (),
        calibration: ChannelCalibrations | None = None,
        reader: SharedReader | None = None,
    ) -> None:
        self.feed_id = feed_id
        self._source = source
        self._emit = emit
        self._observers = observers
        self._calibration = calibration
        self._nominal_hz = nominal_hz
        self._clock: Clock = clock or SystemClock()
        self._reader = reader
        self._batch: WindowBatch | None = None  # while the reader reads
        self._timeline: Timeline | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._connected = False
        self._delivered = 0
        self._missed = 0
        self._last_window_id: int | None = None
        self._lag_ns: int | None = None

    @property
    def connected(self) -> bool:
        """Whether the source is open; a source that is open may still be silent."""
        return self._connected

    @property
    def windows_delivered(self) -> int:
        """Whole windows handed on since the start."""
        return self._delivered

    @property
    def windows_missed(self) -> int:
        """Windows torn or lost since the first; a lost one counts when the next one comes."""
        return self._missed

    def start(self) -> None:
        """Begin; raises RuntimeError when it runs already."""
        if self._thread is not None:
            raise RuntimeError(f"the sampler of feed {self.feed_id} runs already")
        self._stopping.clear()
        self._thread = threading.Thread(
            target=self._run, name=f"sampler-{self.feed_id}", daemon=True
        )
        self._thread.start()

    def end(self) -> None:
        """Ask the thread to end, without waiting for it."""
        self._stopping.set()

    def stop(self) -> None:
        """End the thread and close the source; waits for a read (0.2 s) or an attempt to open."""
        if self._thread is not None:
            self.end()
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        retry_s = _FIRST_RETRY_S
        reported = ""
        while not self._stopping.is_set():
            delivered = self._delivered
            try:
                self._follow()
                reason = ""
            except DriverError as error:
                reason = str(error)
            finally:
                self._connected = False
                self._source.close()
            if reason and reason != reported:
                _log.warning("feed %s: %s", self.feed_id, reason)
            # A source that delivered is tried at once and reported anew; one that did not waits.
            if self._delivered > delivered:
                retry_s, reported = _FIRST_RETRY_S, ""
            else:
                reported = reason
            self._stopping.wait(retry_s)
            retry_s = min(2 * retry_s, _LAST_RETRY_S)

    def _follow(self) -> None:
        """Read the source until it is lost, its time steps or the sampler is stopped."""
        source = self._source
        source.open()
        self._connected = True
        self._lag_ns = None
        timeline = Timeline(self.feed_id, source.sample_rate_hz, source.epoch_ns)
        self._timeline = timeline
        for observer in self._observers:
            observer.begin(source)
        try:
            self._read(source)
        except DriverError:
            for cut in timeline.flush():
                self._deliver(cut, timeline.time_base(cut))
            raise

    def _read(self, source: WaveformSource) -> None:
        if self._reader is not None and isinstance(source, PolledSource):
            self._batch = self._reader.batch
            try:
                self._reader.follow(self, source)
            finally:
                self._batch = None
            return
        while not self._stopping.is_set():
            block = source.read(_READ_TIMEOUT_S)
            if block is not None and not self.take(block):
                return

    @property
    def is_stopping(self) -> bool:
        """Whether the source is to be read no more."""
        return self._stopping.is_set()

    def take(self, block: Block) -> bool:
        """The source's next block, from who reads it; False when it is to be opened again."""
        timeline = self._timeline
        assert timeline is not None, "the source is open"
        self._observe(block)
        for cut in timeline.cut(block):
            self._deliver(cut, timeline.time_base(cut))
            if cut.samples is None or timeline.is_measured:
                continue
            if self._has_stepped(cut.window_id):
                return False
        self._tell_time(timeline, block)
        return True

    def _observe(self, block: Block) -> None:
        for observer in self._observers:
            try:
                observer.take(block)
            except Exception:
                # One consumer's failure must not end the measurement.
                _log.exception("feed %s: a block was not taken", self.feed_id)

    def _tell_time(self, timeline: Timeline, block: Block) -> None:
        measured = timeline.measured_time(block.first_index)
        if measured is None:
            return
        for observer in self._observers:
            if isinstance(observer, TimedObserver):
                observer.set_time(block.first_index, *measured)

    def _has_stepped(self, window_id: int) -> bool:
        """Whether the source's time has moved against the system clock since it was opened."""
        lag_ns = self._clock.unix_ns() - (window_id + 1) * WINDOW_NS
        if self._lag_ns is None:
            self._lag_ns = lag_ns
        if abs(lag_ns - self._lag_ns) <= _CLOCK_STEP_NS:
            return False
        _log.warning(
            "feed %s: its time moved by %.1f s against the system clock",
            self.feed_id,
            (lag_ns - self._lag_ns) * 1e-9,
        )
        return True

    def _deliver(self, cut: CutWindow, time_base: TimeBase) -> None:
        batch = self._batch
        if batch is None:
            self._finish(cut, time_base, *self._analyse(cut, time_base.sample_rate_hz))
            return
        if cut.samples is None or self._calibration is not None:
            found = self._analyse(cut, time_base.sample_rate_hz)
            batch.add_finished(lambda _: self._finish(cut, time_base, *found))
            return
        setting = Setting(time_base.sample_rate_hz, self._nominal_hz, tuple(self._source.skew_s))
        batch.add(
            lambda analysis: self._finish_shared(cut, time_base, analysis), cut.samples, setting
        )

    def _finish_shared(
        self, cut: CutWindow, time_base: TimeBase, analysis: Analysis | None
    ) -> None:
        flags = cut.flags if analysis is not None else (*cut.flags, "unusable")
        self._finish(cut, time_base, analysis, NO_CONFIDENCE, flags)

    def _finish(
        self,
        cut: CutWindow,
        time_base: TimeBase,
        analysis: Analysis | None,
        confidence: Confidence,
        flags: tuple[str, ...],
    ) -> None:
        window = Window(
            feed_id=self.feed_id,
            window_id=cut.window_id,
            start_ns=cut.window_id * WINDOW_NS,
            phases=self._source.phases,
            analysis=analysis,
            flags=flags,
            samples=cut.count,
            expected=cut.expected,
            sample_rate_hz=time_base.sample_rate_hz,
            rate_error=time_base.rate_error,
            time_error_s=time_base.time_error_s,
            confidence=confidence,
        )
        if self._last_window_id is not None:
            self._missed += max(0, cut.window_id - self._last_window_id - 1)
        self._last_window_id = cut.window_id
        if cut.samples is None:
            self._missed += 1
        else:
            self._delivered += 1
        try:
            self._emit(window)
        except Exception:
            # One consumer's failure must not end the measurement.
            _log.exception("feed %s: window %d was not taken", self.feed_id, cut.window_id)

    def _analyse(
        self, cut: CutWindow, sample_rate_hz: float
    ) -> tuple[Analysis | None, Confidence, tuple[str, ...]]:
        if cut.samples is None:
            return None, NO_CONFIDENCE, cut.flags
        try:
            analysis, confidence = self._analysed(cut.samples, sample_rate_hz, cut.window_id)
        except ValueError as error:
            _log.debug("feed %s: window %d: %s", self.feed_id, cut.window_id, error)
            return None, NO_CONFIDENCE, (*cut.flags, "unusable")
        return analysis, confidence, cut.flags

    def _analysed(
        self, samples: Samples, sample_rate_hz: float, window_id: int
    ) -> tuple[Analysis, Confidence]:
        source, phases = self._source, self._source.phases
        voltage, current = samples[:phases], samples[phases:]
        if self._calibration is None:
            analysis = analyze(
                voltage,
                current,
                sample_rate_hz,
                nominal_hz=self._nominal_hz,
                skew_s=source.skew_s,
            )
            return analysis, NO_CONFIDENCE
        return self._calibration.analyze(
            voltage,
            current,
            sample_rate_hz,
            window_id * WINDOW_NS * 1e-9,
            nominal_hz=self._nominal_hz,
            skew_s=source.skew_s,
        )
