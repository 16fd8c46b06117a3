"""The history: what is written when, what survives, what is dropped."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from typing import Any

import pytest

from bmc_ext.domain.energy import EnergyRegisters
from bmc_ext.errors import StateError
from bmc_ext.state import StateDirectory
from bmc_ext.telemetry.history import History
from bmc_ext.telemetry.history_database import RETENTION_S
from bmc_ext.telemetry.record import WindowRecord
from drivers.reading import Quality

FAR_S = 1 << 40

# As the first version wrote it.
_FIRST_VERSION = """
    CREATE TABLE feed (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    CREATE TABLE energy (
        feed INTEGER PRIMARY KEY, import_j REAL, export_j REAL, window_id INTEGER NOT NULL);
    CREATE TABLE second (
        start_s INTEGER NOT NULL, feed INTEGER NOT NULL, p_w REAL NOT NULL, p_min_w REAL NOT NULL,
        p_max_w REAL NOT NULL, v_rms_v REAL, frequency_hz REAL, energy_import_j REAL,
        valid_windows INTEGER NOT NULL, PRIMARY KEY (start_s, feed)) WITHOUT ROWID;
    CREATE TABLE minute (
        start_s INTEGER NOT NULL, feed INTEGER NOT NULL, p_w REAL NOT NULL, p_min_w REAL NOT NULL,
        p_max_w REAL NOT NULL, v_rms_v REAL, frequency_hz REAL, energy_import_j REAL,
        valid_windows INTEGER NOT NULL, PRIMARY KEY (start_s, feed)) WITHOUT ROWID;
    INSERT INTO feed VALUES (1, 'a'); INSERT INTO energy VALUES (1, 5.0, 6.0, 160);
    PRAGMA user_version = 1"""


@pytest.fixture
def history(state: StateDirectory, clock: Any) -> Iterator[History]:
    """A history whose writer is the test itself."""
    history = History(state, clock)
    yield history
    history.stop()


def _window(window_id: int, p_mean_w: float = 100.0, energy_j: float | None = None) -> WindowRecord:
    return WindowRecord(
        window_id, Quality.OK, p_w=p_mean_w, p_mean_w=p_mean_w, frequency_hz=50.0,
        v_rms_v=(230.0, 231.0, 232.0), energy_import_j=energy_j, energy_export_j=0.0,
    )  # fmt: skip


def _live(history: History, clock: Any, seconds: int, p_mean_w: float = 100.0) -> None:
    """So many seconds of windows, each committed a quarter of a second after its end."""
    for _ in range(seconds):
        second = clock.now_ns // 10**9
        for number in range(10):
            history.add("a", _window(second * 10 + number, p_mean_w, float(second)))
        clock.pass_(1.25)
        history.commit()
        clock.pass_(-0.25)


def test_a_second_appears_after_it_has_ended(history: History, clock: Any) -> None:
    """The running second has no row; the ended one has all of its windows."""
    start = clock.now_ns // 10**9
    for number in range(10):
        history.add("a", _window(start * 10 + number, 100.0 + number, 1.0))
    clock.pass_(0.95)
    assert history.commit()
    assert history.query("a", "1s", 0, FAR_S, 10) == []
    clock.pass_(0.3)
    assert history.commit()
    (second,) = history.query("a", "1s", 0, FAR_S, 10)
    assert (second.start_s, second.p_w, second.valid_windows) == (start, 104.5, 10)
    assert second.energy_import_j == 1.0


def test_a_late_window_still_enters_its_second(history: History, clock: Any) -> None:
    """A window that comes after its second was written corrects the row."""
    start = clock.now_ns // 10**9
    for number in range(9):
        history.add("a", _window(start * 10 + number))
    clock.pass_(1.25)
    history.commit()
    assert history.query("a", "1s", 0, FAR_S, 10)[0].valid_windows == 9
    history.add("a", _window(start * 10 + 9, 200.0))
    history.commit()
    (second,) = history.query("a", "1s", 0, FAR_S, 10)
    assert (second.p_w, second.valid_windows) == (110.0, 10)


def test_gaps_are_visible(history: History, clock: Any) -> None:
    """A second without windows has no row, and a minute counts what it had."""
    start = clock.now_ns // 10**9
    _live(history, clock, 20)
    clock.pass_(10)
    _live(history, clock, 40)
    seconds = [row.start_s for row in history.query("a", "1s", 0, FAR_S, 100)]
    assert seconds == [*range(start, start + 20), *range(start + 30, start + 70)]
    (minute,) = history.query("a", "1min", 0, FAR_S, 10)
    assert (minute.start_s, minute.valid_windows) == (start, 500)


def test_query_selects_by_feed_time_and_limit(history: History, clock: Any) -> None:
    """A query gives the oldest `limit` rows of its feed in [start, end)."""
    start = clock.now_ns // 10**9
    history.add("b", _window(start * 10, 7.0))
    _live(history, clock, 5)
    rows = history.query("a", "1s", start + 1, start + 4, 2)
    assert [row.start_s for row in rows] == [start + 1, start + 2]
    assert [row.p_w for row in history.query("b", "1s", 0, FAR_S, 9)] == [7.0]
    assert history.query("nobody", "1s", 0, FAR_S, 9) == []


def test_bad_queries_are_refused(history: History) -> None:
    """An unknown resolution or a limit below 1 is a ValueError that names it."""
    with pytest.raises(ValueError, match="unknown resolution '1h'; known are 1s, 1min"):
        history.query("a", "1h", 0, 1, 1)
    with pytest.raises(ValueError, match="limit 0 is below 1"):
        history.query("a", "1s", 0, 1, 0)


def test_energies_survive_a_restart(state: StateDirectory, clock: Any) -> None:
    """The running totals and the newest window are those of before the restart."""
    first = History(state, clock)
    assert first.energies("a") == (None, None)
    first.add("a", _window(clock.now_ns // 10**8, energy_j=123.25))
    first.stop()
    second = History(state, clock)
    assert second.energies("a") == (123.25, 0.0)
    assert second.last_window("a") == clock.now_ns // 10**8
    assert second.last_window("b") is None
    second.stop()


def test_an_unknown_energy_does_not_forget_the_known(history: History) -> None:
    """A meter that fails for a window keeps its last total in store."""
    history.add("a", _window(1, energy_j=5.0))
    history.add("a", WindowRecord(2, Quality.COMM_ERROR))
    assert history.energies("a") == (5.0, 0.0)


def test_stop_writes_the_running_second(state: StateDirectory, clock: Any) -> None:
    """An orderly stop loses nothing, and the second goes on after the restart."""
    start = clock.now_ns // 10**9
    first = History(state, clock)
    for number in range(4):
        first.add("a", _window(start * 10 + number))
    first.stop()
    second = History(state, clock)
    (row,) = second.query("a", "1s", 0, FAR_S, 9)
    assert (row.start_s, row.valid_windows) == (start, 4)
    second.stop()


def test_an_owed_minute_is_made_after_a_restart(state: StateDirectory, clock: Any) -> None:
    """A minute that ended while the service was down gets its row from its seconds."""
    start = clock.now_ns // 10**9
    first = History(state, clock)
    _live(first, clock, 30)
    first.stop()
    clock.pass_(3600)
    second = History(state, clock)
    second.commit()
    (minute,) = second.query("a", "1min", 0, FAR_S, 9)
    assert (minute.start_s, minute.valid_windows) == (start, 300)
    second.stop()


def test_a_second_lived_twice_keeps_the_fuller_row(history: History, clock: Any) -> None:
    """A clock set back tears no row: a partial second never replaces a whole one."""
    start = clock.now_ns // 10**9
    _live(history, clock, 10)
    clock.step(-5.5)
    for window_id in range((start + 4) * 10 + 5, (start + 6) * 10):
        history.add("a", _window(window_id, 300.0))
    clock.pass_(5)
    history.commit()
    rows = {row.start_s: row for row in history.query("a", "1s", 0, FAR_S, 99)}
    assert sorted(rows) == list(range(start, start + 10))
    assert all(row.valid_windows == 10 for row in rows.values())
    assert rows[start + 4].p_w == 100.0
    assert rows[start + 5].p_w == 300.0


def test_retention_drops_what_is_too_old_and_no_more(history: History, clock: Any) -> None:
    """Seconds go after a day, minutes stay; a jump of the clock takes ten minutes at most."""
    start = clock.now_ns // 10**9
    _live(history, clock, 120)
    clock.pass_(RETENTION_S["1s"] - 60)
    _live(history, clock, 2)
    rows = history.query("a", "1s", 0, FAR_S, 200)
    assert rows[0].start_s == start + 61  # the last commit was one second into its minute
    assert len(history.query("a", "1min", 0, FAR_S, 9)) == 2
    clock.pass_(1200)
    _live(history, clock, 1300)
    before = len(history.query("a", "1s", 0, FAR_S, 9999))
    clock.step(40 * 366 * 86_400)
    history.commit()
    assert 0 < before - len(history.query("a", "1s", 0, FAR_S, 9999)) <= 600


def test_a_disk_that_refuses_is_tried_again(
    history: History, clock: Any, state: StateDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    """While nothing can be written nothing is lost, and it is said once each way."""
    _live(history, clock, 1)
    other = sqlite3.connect(state.path / "history.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    history.add("new", _window(clock.now_ns // 10**8))
    clock.pass_(1.25)
    assert not history.commit()
    assert caplog.messages == ["the history is not written, but kept for 600 s: database is locked"]
    other.execute("ROLLBACK")
    other.close()
    assert history.commit()
    assert caplog.messages[1:] == ["the history is written again"]
    assert len(history.query("new", "1s", 0, FAR_S, 9)) == 1


def test_the_writer_commits_by_itself(state: StateDirectory) -> None:
    """The running thread has an ended second on disk within 1.3 s."""
    history = History(state)
    history.start()
    window_id = time.time_ns() // 10**8 - 10
    history.add("a", _window(window_id))
    deadline = time.monotonic() + 1.3
    while not history.query("a", "1s", 0, FAR_S, 9):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    history.stop()


def test_a_damaged_database_is_one_clear_error(state: StateDirectory) -> None:
    """A file that is no database names itself and the remedy."""
    (state.path / "history.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(StateError, match=r"history\.sqlite.*move it away"):
        History(state)


def test_the_first_version_gains_registers(state: StateDirectory, clock: Any) -> None:
    """A database without registers keeps its energies, and its registers begin when opened."""
    with contextlib.closing(state.database("history", durable=False)) as database:
        for statement in _FIRST_VERSION.split(";"):
            database.execute(statement)
    history = History(state, clock)
    assert history.energies("a") == (5.0, 6.0)
    assert history.registers("a") == EnergyRegisters()
    registers = EnergyRegisters(1.0, 2.0, 3.0, 4.0, 5, 6, 7, 8.0, 170)
    history.add("a", _window(170, energy_j=9.0)._replace(registers=registers))
    history.stop()
    again = History(state, clock)
    assert again.energies("a") == (9.0, 0.0)
    assert again.registers("a") == registers
    again.stop()


def test_a_newer_version_is_not_touched(state: StateDirectory) -> None:
    """A database of another version is refused rather than misread."""
    with contextlib.closing(state.database("history", durable=False)) as database:
        database.execute("PRAGMA user_version = 9")
    with pytest.raises(StateError, match="has version 9, this program reads 2"):
        History(state)
