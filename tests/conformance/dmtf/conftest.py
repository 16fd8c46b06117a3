"""Small emulators for the validators, and what is expected of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conformance.dmtf.validators import small_emulator
from e2e.emulator_client import Running


@pytest.fixture(scope="session")
def modern(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An emulator without what is deprecated."""
    with small_emulator(tmp_path_factory.mktemp("modern"), "--no-legacy") as bmc:
        yield bmc


@pytest.fixture(scope="session")
def expected() -> dict[str, Any]:
    """The committed expectations."""
    text = Path(__file__).with_name("expected.yaml").read_text(encoding="utf-8")
    document: dict[str, Any] = yaml.safe_load(text)
    return document


@pytest.fixture(scope="session")
def csdl(shared: Path) -> Path:
    """DMTF's schemas."""
    return shared / "data" / "redfish-csdl"
