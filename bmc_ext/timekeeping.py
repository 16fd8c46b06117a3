"""How far the system clock may be from UTC: asked of the kernel, of chrony and of linuxptp.

The tightest bound that can be trusted wins. chronyc and pmc are processes: a thread asks them once
in four seconds, a window never waits for them. Between two answers a bound widens by 15 ppm, the
frequency tolerance PHI of RFC 5905; one older than 30 s is dropped.
"""

from __future__ import annotations

import ctypes
import logging
import math
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from bmc_ext.clock import Clock, SystemClock
from bmc_ext.domain.snapshot import TIME_LIMIT_S

_log = logging.getLogger(__name__)

PHI = 15e-6
"""Frequency tolerance of a disciplined clock, relative (RFC 5905, figure 5)."""

MAX_FREQUENCY_ERROR = 500e-6
"""What Linux can correct, and its bound on a crystal's frequency (adjtimex(2), MAXFREQ)."""

_ASK_S = 4.0
_ANSWER_S = 1.5  # a daemon that takes longer is not there
_TRUSTED_S = 30.0
_CALM_S = 10.0  # so long within the limit ends an alarm: a bound that swings logs once


@dataclass(frozen=True, slots=True)
class TimeBound:
    """Bound on the system clock's error against UTC in s, and who says so; None is unknown.

    `rate_error` bounds the relative error of the clock's rate: of one that nobody disciplines, what
    Linux takes any crystal to keep.
    """

    seconds: float | None = None
    source: str | None = None
    rate_error: float = MAX_FREQUENCY_ERROR

    def beside(self, errors_s: Sequence[float]) -> TimeBound:
        """The bound for samples whose own times are wrong by up to the largest of these."""
        if self.seconds is None:
            return self
        return replace(self, seconds=self.seconds + max(errors_s, default=0.0))

    def aged(self, seconds: float) -> TimeBound:
        """The bound so much later."""
        return self.beside([PHI * seconds])


class _Timex(ctypes.Structure):
    """struct timex of adjtimex(2), as far as it is read here."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


_STA_UNSYNC = 0x0040  # adjtimex(2)
_LIBC = ctypes.CDLL(None, use_errno=True)


def kernel_bound() -> TimeBound:
    """The kernel's own bound, from adjtimex(2): maxerror, where it is synchronised."""
    state = _Timex()
    if _LIBC.adjtimex(ctypes.byref(state)) < 0 or state.status & _STA_UNSYNC:
        return TimeBound()
    return TimeBound(state.maxerror * 1e-6, "kernel", PHI)


def chrony_bound(answer: str) -> TimeBound:
    """The bound of `chronyc -c tracking`: |offset| + root dispersion + root delay / 2.

    That is chrony's own absolute bound (chronyc(1), tracking); its rate is off by the residual
    frequency and the skew at most. Unknown where chrony is not synchronised, or to its own clock.
    ValueError for an answer of another form.
    """
    fields = answer.strip().split(",")
    if len(fields) != 14:
        raise ValueError(f"chronyc tracking has {len(fields)} fields, not 14")
    reference, stratum, leap = fields[0], int(fields[2]), fields[13]
    offset_s, residual_ppm, skew_ppm = (abs(float(fields[i])) for i in (4, 8, 9))
    delay_s, dispersion_s = float(fields[10]), float(fields[11])
    if stratum == 0 or leap == "Not synchronised" or reference in ("00000000", "7F7F0101"):
        return TimeBound()
    bound_s = offset_s + dispersion_s + delay_s / 2.0
    rate_error = min((residual_ppm + skew_ppm) * 1e-6, MAX_FREQUENCY_ERROR)
    return TimeBound(bound_s, "chrony", rate_error)


PTP_QUESTIONS = ("CURRENT_DATA_SET", "TIME_STATUS_NP", "TIME_PROPERTIES_DATA_SET",
                 "PORT_PROPERTIES_NP", "PARENT_DATA_SET")  # fmt: skip

_CLOCK_ACCURACY_S = {
    0x20: 25e-9, 0x21: 100e-9, 0x22: 250e-9, 0x23: 1e-6, 0x24: 2.5e-6, 0x25: 10e-6, 0x26: 25e-6,
    0x27: 100e-6, 0x28: 250e-6, 0x29: 1e-3, 0x2A: 2.5e-3, 0x2B: 10e-3, 0x2C: 25e-3, 0x2D: 100e-3,
}  # fmt: skip
"""clockAccuracy of a grandmaster (IEEE 1588-2008, table 6)."""

_TRACEABLE_CLASSES = (6, 7)
"""clockClass of a grandmaster on a primary reference, or in holdover (IEEE 1588-2008, table 5)."""


def ptp_bound(answer: str) -> TimeBound:
    """The bound of what `pmc` prints: |offset| + path delay + the grandmaster's own accuracy.

    The path delay is a mean of both ways, and the error of a wholly one-sided path. Unknown unless
    a port follows a grandmaster that is traceable to UTC, and unless its time stamps are the system
    clock's: with those of a network card ptp4l speaks of that card's clock. ValueError for an
    answer of another form.
    """
    values = _ptp_values(answer)
    try:
        is_followed = (
            values["gmPresent"] == "true"
            and values["timeTraceable"] == "1"
            and int(values["gm.ClockClass"]) in _TRACEABLE_CLASSES
            and int(values["stepsRemoved"]) > 0
            and values["portState"] == "SLAVE"
            and values["timestamping"] == "SOFTWARE"
        )
        accuracy_s = _CLOCK_ACCURACY_S.get(int(values["gm.ClockAccuracy"], 16))
        offset_s, delay_s = (
            abs(float(values[name])) * 1e-9 for name in ("offsetFromMaster", "meanPathDelay")
        )
    except KeyError as error:
        raise ValueError(f"pmc did not tell {error.args[0]}") from None
    if not is_followed or accuracy_s is None:
        return TimeBound()
    return TimeBound(offset_s + delay_s + accuracy_s, "ptp4l", PHI)


def _ptp_values(answer: str) -> Mapping[str, str]:
    """Names and values of all responses; of several ports, of the one that follows a master."""
    values: dict[str, str] = {}
    for response in answer.split("RESPONSE MANAGEMENT ")[1:]:
        pairs = (line.split() for line in response.splitlines() if line.startswith("\t\t"))
        found = {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
        if values.get("portState") != "SLAVE" or "portState" not in found:
            values.update(found)
    return values


@dataclass(frozen=True, slots=True)
class Daemon:
    """A time daemon: the command that asks it, and how its answer is read."""

    command: Sequence[str]
    read: Callable[[str], TimeBound]


DAEMONS = (
    Daemon(("chronyc", "-n", "-c", "tracking"), chrony_bound),
    Daemon(("pmc", "-u", "-b", "0", *(f"GET {name}" for name in PTP_QUESTIONS)), ptp_bound),
)


class Timekeeper:
    """Knows the tightest bound; calling it is cheap and never waits.

    A daemon that is not there, that does not answer in time or answers oddly gives no bound; the
    last two are logged once until it answers again.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        kernel: Callable[[], TimeBound] = kernel_bound,
        daemons: Sequence[Daemon] = DAEMONS,
    ) -> None:
        self._clock: Clock = clock or SystemClock()
        self._kernel = kernel
        self._daemons = daemons
        self._told: dict[str, tuple[float, TimeBound]] = {}
        self._complained: set[str] = set()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def __call__(self) -> TimeBound:
        """The tightest bound now."""
        now_s = self._clock.monotonic_s()
        bounds = [self._kernel()]
        for asked_s, bound in list(self._told.values()):
            if now_s - asked_s <= _TRUSTED_S:
                bounds.append(bound.aged(now_s - asked_s))
        known = [bound for bound in bounds if bound.seconds is not None]
        return min(known, key=lambda bound: bound.seconds or 0.0, default=TimeBound())

    def start(self) -> None:
        """Begin to ask, also after a stop."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="timekeeper", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; waits for a daemon that is being asked."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def ask(self) -> None:
        """Ask every daemon once."""
        for daemon in self._daemons:
            name = daemon.command[0]
            asked_s = self._clock.monotonic_s()
            try:
                answer = subprocess.run(
                    daemon.command, capture_output=True, text=True, timeout=_ANSWER_S, check=True
                ).stdout
                bound = daemon.read(answer)
                if not math.isfinite(bound.seconds or 0.0):
                    raise ValueError(f"a bound of {bound.seconds} s")
                self._told[name] = (asked_s, bound)
                self._complained.discard(name)
            except FileNotFoundError:
                self._told.pop(name, None)
            except (OSError, subprocess.SubprocessError, ValueError) as error:
                self._told.pop(name, None)
                if name not in self._complained:
                    _log.info("no time bound from %s: %s", name, error)
                self._complained.add(name)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.ask()
            self._stopping.wait(_ASK_S)


class TimeAlarm:
    """Says once when the time is not known to ±1 ms, and once when it is again."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock: Clock = clock or SystemClock()
        self._raised = False
        self._good_since_s: float | None = None

    def follow(self, alarm: str | None) -> None:
        """Take the newest window's alarm, None when there is none."""
        now_s = self._clock.monotonic_s()
        if alarm is not None:
            self._good_since_s = None
            if not self._raised:
                _log.warning("time: %s", alarm)
            self._raised = True
        elif self._raised:
            self._good_since_s = now_s if self._good_since_s is None else self._good_since_s
            if now_s - self._good_since_s >= _CALM_S:
                _log.warning("time: the times are right to ±%g ms again", TIME_LIMIT_S * 1e3)
                self._raised = False
