"""The audit log: chained, durable, torn lines, full disks, and its command."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bmc_ext.commands.audit import audit
from bmc_ext.errors import StateError
from bmc_ext.security.audit import FILE_NAME, MAX_ENTRY_BYTES, AuditLog, verify


def _filled(directory: Path, entries: int = 5) -> Path:
    log = AuditLog(directory)
    for number in range(entries):
        log.append("workload.announced", workload_id=f"w{number}", peak_power_w=1.8e8)
    log.close()
    return log.path


def test_entries_are_numbered_timed_and_chained(tmp_path: Path, clock: Any) -> None:
    """Each line carries seq, time, event, fields, prev and its hash, as the module says."""
    log = AuditLog(tmp_path, clock=clock)
    assert log.append("login", user="anna") == 1
    assert log.append("grid.signal", kind="demand_response", power_w=5e6, reason=None) == 2
    log.close()

    entries = [json.loads(line) for line in log.path.read_bytes().splitlines()]
    assert entries[0]["prev"] == "0" * 64
    assert entries[1]["prev"] == entries[0]["hash"]
    assert entries[1]["fields"] == {"kind": "demand_response", "power_w": 5e6, "reason": None}
    assert entries[0]["time"] == "2026-01-01T00:00:00.000Z"
    body = {name: value for name, value in entries[0].items() if name != "hash"}
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert entries[0]["hash"] == hashlib.sha256(canonical.encode()).hexdigest()
    assert log.head == (2, entries[1]["hash"])
    assert log.path.stat().st_mode & 0o777 == 0o600


def test_a_log_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """A restart continues the chain and the numbers."""
    _filled(tmp_path, 3)
    log = AuditLog(tmp_path)
    assert log.append("service.start") == 4
    log.close()
    report = verify(tmp_path)
    assert (report.ok, report.entries, report.torn_bytes) == (True, 4, 0)
    assert report.head == log.head[1]


def test_concurrent_appends_share_the_disk_and_keep_the_chain(tmp_path: Path) -> None:
    """Sixteen threads get distinct numbers, each on disk before its call returns."""
    log = AuditLog(tmp_path)
    seqs: list[int] = []
    missing: list[int] = []

    def work(name: int) -> None:
        for number in range(50):
            seq = log.append("event", thread=name, number=number)
            seqs.append(seq)
            if log.head[0] < seq:
                missing.append(seq)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    assert missing == []
    assert sorted(seqs) == list(range(1, 801))
    report = verify(tmp_path)
    assert (report.ok, report.entries) == (True, 800)


def test_a_torn_last_line_is_dropped_and_that_is_recorded(tmp_path: Path) -> None:
    """After a crash in the middle of a write the log goes on and names what it dropped."""
    path = _filled(tmp_path, 3)
    torn = b'{"event":"half'
    with path.open("ab") as file:
        file.write(torn)
    report = verify(tmp_path)
    assert (report.ok, report.entries, report.torn_bytes) == (True, 3, len(torn))

    log = AuditLog(tmp_path)
    log.close()
    last = json.loads(path.read_bytes().splitlines()[-1])
    assert last["event"] == "audit.torn_line_dropped"
    assert last["fields"] == {"bytes": len(torn), "sha256": hashlib.sha256(torn).hexdigest()}
    assert verify(tmp_path).ok


def test_a_first_line_that_is_torn_leaves_an_empty_log(tmp_path: Path) -> None:
    """The chain then starts with the record of the drop."""
    (tmp_path / FILE_NAME).write_bytes(b'{"event"')
    log = AuditLog(tmp_path)
    assert log.append("service.start") == 2
    log.close()
    assert verify(tmp_path).ok


@pytest.mark.parametrize(
    "content", [b"not ours\n", b"x" * (3 * MAX_ENTRY_BYTES), b"[]\n", b"\xff\n"]
)
def test_a_foreign_file_is_left_alone(tmp_path: Path, content: bytes) -> None:
    """A file that is no audit log stops the start and stays as it was."""
    path = tmp_path / FILE_NAME
    path.write_bytes(content)
    with pytest.raises(StateError, match=FILE_NAME):
        AuditLog(tmp_path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("fields", [{"x": object()}, {"x": 2**70}, {"x": "y" * MAX_ENTRY_BYTES}])
def test_fields_that_json_cannot_carry_are_refused(tmp_path: Path, fields: dict[str, Any]) -> None:
    """A bad entry is a ValueError that names the event, and leaves no trace in the chain."""
    log = AuditLog(tmp_path)
    with pytest.raises(ValueError, match="my event"):
        log.append("my event", **fields)
    assert log.append("after") == 1
    log.close()
    assert verify(tmp_path).ok


def test_a_closed_log_takes_nothing(tmp_path: Path) -> None:
    """An append after close is an error, not a write to whatever has the number now."""
    log = AuditLog(tmp_path)
    log.close()
    with pytest.raises(StateError):
        log.append("late")


_FULL_DISK = """
import resource, sys, threading
from pathlib import Path
from bmc_ext.errors import StateError
from bmc_ext.security.audit import AuditLog
log = AuditLog(Path(sys.argv[1]))
log.append("before")
size = log.path.stat().st_size
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 300, hard))
refused = []
def work():
    try:
        log.append("too much", text="x" * 500)
    except StateError as error:
        refused.append(str(error))
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(refused) == 8, refused
assert "File too large" in refused[0], refused
assert log.path.stat().st_size == size
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
assert log.append("after") == 2
"""


def test_a_full_disk_refuses_and_takes_back(tmp_path: Path) -> None:
    """Entries that did not fit are errors to their callers, and the chain goes on without them."""
    subprocess.run([sys.executable, "-c", _FULL_DISK, str(tmp_path)], check=True)
    report = verify(tmp_path)
    assert (report.ok, report.entries, report.torn_bytes) == (True, 2, 0)


_APPEND_UNTIL_KILLED = """
import sys, threading
from pathlib import Path
from bmc_ext.security.audit import AuditLog
log = AuditLog(Path(sys.argv[1]))
def work():
    while True:
        sys.stdout.write(f"{log.append('event')}\\n")
        sys.stdout.flush()
for _ in range(4):
    threading.Thread(target=work).start()
"""


def test_what_append_returned_for_survives_kill_9(tmp_path: Path) -> None:
    """Every number that was printed before the kill is in the log, and the chain is whole."""
    process = subprocess.Popen(
        [sys.executable, "-c", _APPEND_UNTIL_KILLED, str(tmp_path)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    printed = [int(process.stdout.readline()) for _ in range(200)]
    process.send_signal(signal.SIGKILL)
    process.stdout.close()
    process.wait()
    AuditLog(tmp_path).close()
    report = verify(tmp_path)
    assert report.ok
    assert report.entries >= max(printed)


def test_the_command_says_ok_and_what_it_saw(tmp_path: Path) -> None:
    """Exit 0 with the number of entries, first and last, for a directory and for the file."""
    path = _filled(tmp_path)
    for argument in (tmp_path, path):
        result = CliRunner().invoke(audit, ["verify", str(argument)])
        assert result.exit_code == 0
        assert "5 entries" in result.output
        assert "first 20" in result.output
        assert result.output.endswith("OK\n")


def test_the_command_says_where_the_chain_breaks(tmp_path: Path) -> None:
    """Exit 1 naming line and reason."""
    path = _filled(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"w2"', b'"w9"'))
    result = CliRunner().invoke(audit, ["verify", str(tmp_path)])
    assert result.exit_code == 1
    assert "BROKEN at line 3: hash does not fit" in result.output
    assert "2 entries" in result.output


def test_the_command_says_when_there_is_nothing_to_read(tmp_path: Path) -> None:
    """Exit 2 with one line on stderr."""
    result = CliRunner().invoke(audit, ["verify", str(tmp_path / "absent")])
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "absent" in result.stderr
    assert result.stdout == ""
