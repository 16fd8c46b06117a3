"""Fixtures for every room."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from veth import wire  # noqa: F401 - a fixture

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
SHARED = Path(os.environ.get("DCPI_SHARED", ROOT.parent / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of recordings, register maps and texts that is not part of the project."""
    if not SHARED.is_dir():
        reason = f"no shared data at {SHARED}; name the folder in DCPI_SHARED"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return SHARED


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole files in the order in which two processes are through soonest.

    First those that ask the one mock BMC of e2e, which ends after them; then the long ones, so that
    none is left over at the end.
    """
    asking = {item.path for item in items if "bmc" in getattr(item, "fixturenames", ())}
    first = [path for path in asking if path.parent == TESTS / "e2e"]
    places = {path: place for place, path in enumerate([*sorted(first), *long_files()])}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def long_files() -> list[Path]:
    """The files of longest_first.txt, which are all there."""
    names = (TESTS / "longest_first.txt").read_text(encoding="utf-8").split()
    missing = [name for name in names if not (TESTS / name).is_file()]
    if missing:
        raise pytest.UsageError(f"longest_first.txt names what is gone: {missing}")
    return [TESTS / name for name in names]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count and print the skips, so that nobody takes a short run for a whole one."""
    skipped = terminalreporter.stats.get("skipped", [])
    missing = sum("no shared data" in str(report.longrepr) for report in skipped)
    terminalreporter.write_line(f"skipped: {len(skipped)}, for want of shared data: {missing}")
