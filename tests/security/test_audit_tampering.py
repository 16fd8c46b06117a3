"""What someone with write access to the audit log can and cannot hide."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bmc_ext.security.audit import AuditLog, verify

Lines = list[bytes]


def _swap(lines: Lines) -> Lines:
    return [*lines[:4], lines[5], lines[4], *lines[6:]]


def _delete(lines: Lines) -> Lines:
    return lines[:4] + lines[5:]


def _behead(lines: Lines) -> Lines:
    return lines[4:]


def _duplicate(lines: Lines) -> Lines:
    return [*lines[:5], lines[4], *lines[5:]]


def _reword(lines: Lines) -> Lines:
    return [*lines[:4], lines[4].replace(b"anna", b"bert"), *lines[5:]]


def _retime(lines: Lines) -> Lines:
    entry = json.loads(lines[4])
    entry["time"] = "1999-01-01T00:00:00.000Z"
    return [*lines[:4], _dump(entry), *lines[5:]]


def _respace(lines: Lines) -> Lines:
    return [*lines[:4], lines[4].replace(b'":', b'": ', 1), *lines[5:]]


def _shadow_a_key(lines: Lines) -> Lines:
    return [*lines[:4], b'{"event":"decoy",' + lines[4][1:], *lines[5:]]


def _add_a_member(lines: Lines) -> Lines:
    return [*lines[:4], _dump(json.loads(lines[4]) | {"note": "fine"}), *lines[5:]]


def _garbage(lines: Lines) -> Lines:
    return [*lines[:4], b"\0" * 40, *lines[5:]]


def _blank(lines: Lines) -> Lines:
    return [*lines[:4], b"", *lines[4:]]


def _endless(lines: Lines) -> Lines:
    return [*lines[:4], b"x" * 3_000_000, *lines[4:]]


def _dump(entry: object) -> bytes:
    return json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "tamper",
    [_swap, _delete, _behead, _duplicate, _reword, _retime, _respace, _shadow_a_key,
     _add_a_member, _garbage, _blank, _endless],
)  # fmt: skip
def test_a_change_inside_the_log_is_found_at_its_line(
    tmp_path: Path, tamper: Callable[[Lines], Lines]
) -> None:
    """Whatever is changed, moved, added or removed before the end breaks the chain there."""
    log = AuditLog(tmp_path)
    for number in range(10):
        log.append("command", user="anna", number=number)
    log.close()
    lines = log.path.read_bytes().splitlines()
    log.path.write_bytes(b"\n".join(tamper(lines)) + b"\n")
    report = verify(tmp_path)
    assert not report.ok
    at = {_behead: 1, _duplicate: 6}.get(tamper, 5)
    assert (report.broken_line, report.entries) == (at, at - 1)
    assert report.reason


def test_a_cut_tail_shows_against_an_exported_head(tmp_path: Path) -> None:
    """The chain alone cannot show that its end is missing; the head noted elsewhere can."""
    log = AuditLog(tmp_path)
    for number in range(10):
        log.append("command", number=number)
    exported = log.head
    log.close()
    lines = log.path.read_bytes().splitlines(keepends=True)
    log.path.write_bytes(b"".join(lines[:7]))
    report = verify(tmp_path)
    assert report.ok
    assert (report.entries, report.head) != exported
