"""Bounds on the clock's error: of the kernel, of real daemons, and of what daemons print."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bmc_ext.timekeeping import (
    DAEMONS,
    MAX_FREQUENCY_ERROR,
    PHI,
    Daemon,
    TimeAlarm,
    TimeBound,
    Timekeeper,
    chrony_bound,
    kernel_bound,
    ptp_bound,
)

# Printed by chronyc 4.3 of a chronyd that followed another one.
TRACKING = (
    "7F000001,127.0.0.1,9,1795636256.661314815,-0.000000325,-0.000000010,0.000000192,"
    "-0.088,0.001,0.140,0.000004832,0.000001702,0.5,Normal\n"
)

# Printed by pmc 3.1.1 of a ptp4l that followed another one, shortened by what is not read.
PMC = """sending: GET CURRENT_DATA_SET
sending: GET TIME_STATUS_NP
\tb25645.fffe.59eae5-0 seq 0 RESPONSE MANAGEMENT CURRENT_DATA_SET
\t\tstepsRemoved     1
\t\toffsetFromMaster -250.0
\t\tmeanPathDelay    1800.0
sending: GET TIME_PROPERTIES_DATA_SET
\tb25645.fffe.59eae5-0 seq 1 RESPONSE MANAGEMENT TIME_STATUS_NP
\t\tmaster_offset              -250
\t\tingress_time               1795636700348577633
\t\tcumulativeScaledRateOffset +0.000000000
\t\tlastGmPhaseChange          0x0000'0000000000000000.0000
\t\tgmPresent                  true
\t\tgmIdentity                 ce56ea.fffe.c92d12
sending: GET PORT_PROPERTIES_NP
\tb25645.fffe.59eae5-0 seq 2 RESPONSE MANAGEMENT TIME_PROPERTIES_DATA_SET
\t\tcurrentUtcOffset      37
\t\tptpTimescale          0
\t\ttimeTraceable         1
\t\ttimeSource            0x20
sending: GET PARENT_DATA_SET
\tb25645.fffe.59eae5-1 seq 4 RESPONSE MANAGEMENT PORT_PROPERTIES_NP
\t\tportIdentity            b25645.fffe.59eae5-1
\t\tportState               SLAVE
\t\ttimestamping            SOFTWARE
\t\tinterface               vptp1
\tb25645.fffe.59eae5-0 seq 5 RESPONSE MANAGEMENT PARENT_DATA_SET
\t\tparentPortIdentity                    ce56ea.fffe.c92d12-1
\t\tgm.ClockClass                         6
\t\tgm.ClockAccuracy                      0x21
\t\tgrandmasterIdentity                   ce56ea.fffe.c92d12"""
OTHER_PORT = """
\tb25645.fffe.59eae5-2 seq 4 RESPONSE MANAGEMENT PORT_PROPERTIES_NP
\t\tportIdentity            b25645.fffe.59eae5-2
\t\tportState               LISTENING
\t\ttimestamping            HARDWARE
\t\tinterface               eth1"""


class HandClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def unix_ns(self) -> int:
        """UTC in ns."""
        return round(self.now_s * 1e9)

    def monotonic_s(self) -> float:
        """Seconds."""
        return self.now_s

    def sleep(self, seconds: float) -> None:
        """Time goes by."""
        self.now_s += seconds


def test_chrony_bounds_by_its_root_distance() -> None:
    """|offset| + root dispersion + half the root delay; the rate by residual and skew."""
    bound = chrony_bound(TRACKING)
    assert bound.source == "chrony"
    assert bound.seconds == pytest.approx(0.325e-6 + 1.702e-6 + 4.832e-6 / 2, rel=1e-9)
    assert bound.rate_error == pytest.approx(0.141e-6)


@pytest.mark.parametrize(
    ("field", "value"),
    [(13, "Not synchronised"), (0, "00000000"), (0, "7F7F0101"), (2, "0")],
)
def test_a_chrony_without_a_reference_bounds_nothing(field: int, value: str) -> None:
    """Neither one that is not synchronised nor one that follows its own clock is trusted."""
    fields = TRACKING.strip().split(",")
    fields[field] = value
    assert chrony_bound(",".join(fields)) == TimeBound()


@pytest.mark.parametrize(
    "answer", ["", "506 Cannot talk to daemon\n", TRACKING.replace(",9,", ",x,")]
)
def test_an_odd_answer_of_chrony_is_an_error(answer: str) -> None:
    """What is no tracking report is not guessed at."""
    with pytest.raises(ValueError, match=r"fields, not 14|invalid literal"):
        chrony_bound(answer)


@pytest.mark.parametrize(
    "answer", [PMC, PMC + OTHER_PORT, PMC.replace("sending", OTHER_PORT + "\nsending", 1)]
)
def test_ptp_bounds_by_offset_path_and_grandmaster(answer: str) -> None:
    """|offset| + path delay + the grandmaster's accuracy; ports that follow nobody do not count."""
    bound = ptp_bound(answer)
    assert bound.source == "ptp4l"
    assert bound.seconds == pytest.approx(250e-9 + 1800e-9 + 100e-9, rel=1e-9)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SLAVE", "UNCALIBRATED"), ("SOFTWARE", "HARDWARE"), ("Traceable         1", "Traceable 0"),
        ("gmPresent                  true", "gmPresent false"),
        ("stepsRemoved     1", "stepsRemoved 0"),
        ("ClockClass                         6", "ClockClass 248"), ("0x21", "0xfe"),
    ],
)  # fmt: skip
def test_a_ptp_that_is_not_traceable_bounds_nothing(old: str, new: str) -> None:
    """Each of its conditions alone makes it unknown."""
    assert old in PMC
    assert ptp_bound(PMC.replace(old, new)) == TimeBound()


def test_an_odd_answer_of_pmc_is_an_error() -> None:
    """A pmc that reaches no ptp4l prints only what it sent: the error names what is not told."""
    with pytest.raises(ValueError, match="pmc did not tell gmPresent"):
        ptp_bound("sending: GET CURRENT_DATA_SET\n")


def test_the_kernel_answers_or_is_not_synchronised() -> None:
    """Either a bound with its source, or neither."""
    bound = kernel_bound()
    assert (bound.seconds is None) == (bound.source is None)
    assert bound.seconds is None or bound.seconds >= 0.0


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Puts an executable on PATH that runs this shell script; nothing else is there."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def put(name: str, script: str) -> None:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    return put


def _printing(text: str) -> str:
    return f"while read -r line; do echo \"$line\"; done <<'END'\n{text.strip()}\nEND"


def test_the_tightest_bound_wins_and_widens(commands: Callable[[str, str], None]) -> None:
    """Chrony's beats the kernel's, ages by 15 ppm, and is dropped after 30 s of silence."""
    commands("chronyc", _printing(TRACKING))
    clock = HandClock()
    keeper = Timekeeper(clock, kernel=lambda: TimeBound(0.5, "kernel", PHI))
    assert keeper().source == "kernel"
    keeper.ask()
    fresh = keeper()
    assert fresh.source == "chrony"
    assert fresh.seconds == pytest.approx(4.443e-6, rel=1e-6)
    clock.sleep(10.0)
    assert keeper().seconds == pytest.approx(4.443e-6 + 150e-6, rel=1e-6)
    clock.sleep(21.0)
    assert keeper().source == "kernel"


def test_without_anybody_nothing_is_known(commands: Callable[[str, str], None]) -> None:
    """No daemon and an unsynchronised kernel: no bound, no source, the widest rate."""
    keeper = Timekeeper(HandClock(), kernel=TimeBound)
    keeper.ask()
    assert keeper() == TimeBound(None, None, MAX_FREQUENCY_ERROR)


@pytest.mark.parametrize(
    "script",
    [
        "echo '506 Cannot talk to daemon'; exit 1", "echo nonsense", "exec sleep 60",
        f"echo '{TRACKING.replace('-0.000000325', 'nan').strip()}'",
    ],
)  # fmt: skip
def test_a_daemon_that_fails_is_said_once(
    commands: Callable[[str, str], None],
    script: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Failure, nonsense and silence end its bound within 2 s; the log has one line of it."""
    sleep = shutil.which("sleep", path=os.defpath) or "/bin/sleep"
    commands("chronyc", _printing(TRACKING))
    keeper = Timekeeper(HandClock(), kernel=TimeBound, daemons=DAEMONS[:1])
    keeper.ask()
    assert keeper().source == "chrony"
    commands("chronyc", script.replace("sleep", sleep))
    begun = time.monotonic()
    with caplog.at_level("INFO"):
        keeper.ask()
        keeper.ask()
    assert time.monotonic() - begun < 5.0
    assert keeper() == TimeBound()
    assert len(caplog.messages) == 1
    assert "chronyc" in caplog.text


def test_it_asks_in_the_background(commands: Callable[[str, str], None]) -> None:
    """Started, it finds chrony by itself; calling it meanwhile never waits for a daemon."""
    commands("chronyc", _printing(TRACKING))
    keeper = Timekeeper(kernel=TimeBound, daemons=DAEMONS[:1])
    keeper.start()
    try:
        end = time.monotonic() + 5.0
        while keeper().source != "chrony" and time.monotonic() < end:
            time.sleep(0.01)
        assert keeper().source == "chrony"
    finally:
        keeper.stop()


def test_it_asks_again_after_a_stop() -> None:
    """A service that begins anew goes on with the same one."""
    asked: list[str] = []

    def read(answer: str) -> TimeBound:
        asked.append(answer)
        return TimeBound()

    keeper = Timekeeper(kernel=TimeBound, daemons=[Daemon(("echo", "here"), read)])
    for starts in (1, 2):
        keeper.start()
        end = time.monotonic() + 10.0
        while len(asked) < starts and time.monotonic() < end:
            time.sleep(0.01)
        keeper.stop()
        assert len(asked) >= starts


def test_an_alarm_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """Once when it comes, once when it has been gone for 10 s, and not in between."""
    clock = HandClock()
    alarm = TimeAlarm(clock)
    for text in [None, "late", "late", None, None, "late"]:
        clock.sleep(0.1)
        alarm.follow(text)
    assert caplog.messages == ["time: late"]
    for _ in range(102):
        clock.sleep(0.1)
        alarm.follow(None)
    assert caplog.messages == ["time: late", "time: the times are right to ±1 ms again"]
    alarm.follow("late again")
    assert caplog.messages[-1] == "time: late again"


def test_samples_add_their_own_error() -> None:
    """The bound of a window is the clock's and the worst source's; unknown stays unknown."""
    assert TimeBound(1e-3, "kernel").beside([1e-4, 5e-4]).seconds == pytest.approx(1.5e-3)
    assert TimeBound(1e-3, "kernel").beside([]).seconds == 1e-3
    assert TimeBound().beside([5e-4]) == TimeBound()


@contextlib.contextmanager
def _running(command: list[str]) -> Iterator[None]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


@pytest.mark.skipif(
    shutil.which("chronyd") is None or os.geteuid() != 0,
    reason="needs chronyd (Debian package chrony) and root; it does not touch the clock",
)
def test_a_real_chrony_is_read(tmp_path: Path) -> None:
    """A chronyd that follows another one over NTP, on loopback, gives a bound below 1 ms."""
    tmp_path.chmod(0o700)
    socket_path = tmp_path / "chronyd.sock"
    (tmp_path / "server.conf").write_text(
        f"port 21123\nbindaddress 127.0.0.1\nallow 127.0.0.1\nlocal stratum 8\ncmdport 0\n"
        f"bindcmdaddress {tmp_path}/server.sock\npidfile {tmp_path}/server.pid\n"
    )
    (tmp_path / "client.conf").write_text(
        f"server 127.0.0.1 port 21123 iburst minpoll -4 maxpoll 0\nport 0\ncmdport 0\n"
        f"bindcmdaddress {socket_path}\npidfile {tmp_path}/client.pid\n"
    )
    daemon = Daemon(("chronyc", "-n", "-h", str(socket_path), "-c", "tracking"), chrony_bound)
    keeper = Timekeeper(kernel=TimeBound, daemons=[daemon])
    chronyd = ["chronyd", "-x", "-d", "-U", "-u", "root", "-f"]
    with (
        _running([*chronyd, str(tmp_path / "server.conf")]),
        _running([*chronyd, str(tmp_path / "client.conf")]),
    ):
        end = time.monotonic() + 20.0
        while (keeper().seconds or 1.0) > 1e-3 and time.monotonic() < end:
            time.sleep(0.2)
            keeper.ask()
        bound = keeper()
    assert bound.source == "chrony"
    assert bound.seconds is not None
    assert 0.0 < bound.seconds < 1e-3
    assert 0.0 < bound.rate_error < 1e-3
