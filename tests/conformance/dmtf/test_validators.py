"""DMTF's validators find nothing in an emulator without deprecated content: what CI runs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest
from conformance.dmtf import seeds, validators
from e2e.emulator_client import Running
from redfish_proxy import proxy

from schemas import path

PROFILE = Path(str(path("profiles/DCPI.v1_0_0.json")))
_RESOURCES, _TYPES = 400, 45
"""What the tree has to hold at least, so that a pass says something."""


def test_the_service_validator_finds_nothing(modern: Running, tmp_path: Path, csdl: Path) -> None:
    """Every body of the whole tree is as its schema says, and none is deprecated."""
    report = validators.service(modern.port, tmp_path, csdl)
    assert report.bad == (0, 0), (report.findings, report.failures)
    assert len(report.visited) >= _RESOURCES
    assert len(_types(modern, report.visited)) >= _TYPES
    assert report.passed > 10 * _RESOURCES


def _types(bmc: Running, uris: Iterable[str]) -> set[str]:
    """The types of what is served there, without their versions."""
    origin, login = f"https://127.0.0.1:{bmc.port}", (bmc.user, bmc.password)
    with httpx.Client(base_url=origin, auth=login, verify=False, timeout=30) as client:
        bodies = [client.get(uri).json() for uri in uris]
    return {body["@odata.type"].lstrip("#").partition(".")[0] for body in bodies}


def test_the_service_validator_sees_a_wrong_type(
    modern: Running, tmp_path: Path, csdl: Path
) -> None:
    """The gate fails where one Reading is a text."""
    with proxy(modern, answering=seeds.reading_of_a_wrong_type) as port:
        bad = validators.service(port, tmp_path / "bad", csdl, only=seeds.SENSOR)
    assert bad.failed >= 1


def test_the_protocol_validator_finds_nothing(
    modern: Running, tmp_path: Path, expected: dict[str, Any]
) -> None:
    """Every assertion holds; those that nothing can test are known with reasons, and no others."""
    report = validators.protocol(modern.port, tmp_path)
    assert report.bad == (0, 0), report.failures
    assert report.untested == set(expected["not_tested"])
    assert report.passed >= 300


def test_the_service_has_what_the_dcpi_profile_asks(modern: Running, tmp_path: Path) -> None:
    """Our own service passes the profile that other vendors' BMCs may be held against."""
    for attempt in ("first", "again"):  # a stalled machine leaves a value unknown for a moment
        folder = tmp_path / attempt
        folder.mkdir()
        report = validators.interop(modern.port, folder, PROFILE)
        if report.bad == (0, 0):
            break
    assert report.bad == (0, 0), report.failures
    assert report.passed >= 50


def test_the_dcpi_profile_misses_a_property(modern: Running, tmp_path: Path) -> None:
    """The same service without the facility's power fails it."""
    no_total = seeds.without(seeds.REALTIME, "Total", "PowerWatts")
    with proxy(modern, answering=no_total) as port:
        bad = validators.interop(port, tmp_path, PROFILE, only=seeds.REALTIME)
    assert any("PowerWatts" in failure for failure in bad.failures)


def test_a_mutilated_dcpi_profile_is_failed(modern: Running, tmp_path: Path) -> None:
    """A profile that asks for what is not there fails the whole service."""
    profile = json.loads(PROFILE.read_text(encoding="utf-8"))
    realtime = profile["Resources"]["DcpiPowerRealtime"]["PropertyRequirements"]
    realtime["PowerWattz"] = realtime.pop("WindowId")
    (tmp_path / PROFILE.name).write_text(json.dumps(profile), encoding="utf-8")
    bad = validators.interop(modern.port, tmp_path, tmp_path / PROFILE.name, only=seeds.REALTIME)
    assert any("PowerWattz" in failure for failure in bad.failures)


def test_a_report_without_counts_is_an_error(tmp_path: Path) -> None:
    """A validator that cannot reach the service has found nothing, and that is no pass."""
    with pytest.raises(AssertionError, match="no counts"):
        validators.use_cases(9, tmp_path)
