"""Fixtures for every room."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from veth import wire  # noqa: F401 - a fixture

ROOT = Path(__file__).resolve().parent.parent
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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count and print the skips, so that nobody takes a short run for a whole one."""
    skipped = terminalreporter.stats.get("skipped", [])
    missing = sum("no shared data" in str(report.longrepr) for report in skipped)
    terminalreporter.write_line(f"skipped: {len(skipped)}, for want of shared data: {missing}")
