"""The laboratory's profile."""

from __future__ import annotations

import pytest

from drivers.profile import Profile, load_profile
from tests.drivers.check.lab import PROFILE


@pytest.fixture(scope="session")
def station(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    """A cooling station with a point of each quantity."""
    path = tmp_path_factory.mktemp("profiles") / "station.yaml"
    path.write_text(PROFILE)
    return load_profile(path)
