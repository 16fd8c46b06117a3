"""What takes DMTF's validators minutes: with deprecated content, use cases, OCP's profiles."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conformance.dmtf import seeds, validators
from e2e.emulator_client import Running
from redfish_proxy import proxy

OCP = (
    "OCPServiceBaseline.v1_0_0",
    "OCPBaselineHardwareManagement.v1_1_0",
    "OCPLiquidCoolingBaseline.v1_0_0",
    "OCPCoolantDistributionUnit.v1_0_0",
    "OCPRackPDU.v1_0_0",
    "OCP-Sustainability-Profile.v1_0_0",
)
METRICS = "/redfish/v1/Chassis/DCPI/EnvironmentMetrics"
CDU = "/redfish/v1/ThermalEquipment/CDUs/liquid_cooling_loop_a"
PDU = "/redfish/v1/PowerEquipment/RackPDUs/rack_pdu_1"


@pytest.fixture(scope="module")
def legacy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An emulator with deprecated content."""
    with validators.small_emulator(tmp_path_factory.mktemp("legacy")) as bmc:
        yield bmc


def test_with_legacy_only_known_deprecations_are_warned_of(
    legacy: Running, tmp_path: Path, csdl: Path, expected: dict[str, Any]
) -> None:
    """Nothing fails, and each warning is of a deprecated property or URI on the list."""
    report = validators.service(legacy.port, tmp_path, csdl)
    assert report.failed == 0, report.failures
    assert report.warned > 0  # or the switch would do nothing
    strange = {
        (name, kind)
        for name, kind in report.findings
        if not kind.startswith("Deprecated") or name not in expected["deprecated"]
    }
    assert not strange
    assert report.findings


def test_the_protocol_validator_sees_a_missing_header(modern: Running, tmp_path: Path) -> None:
    """The gate fails where no answer has OData-Version."""
    with proxy(modern, answering=seeds.no_odata_version) as port:
        bad = validators.protocol(port, tmp_path)
    assert any("ODATA_VERSION" in failure for failure in bad.failures)


def test_the_use_case_checkers_find_nothing(modern: Running, tmp_path: Path) -> None:
    """Accounts, power, boot, interfaces and queries work as clients use them."""
    report = validators.use_cases(modern.port, tmp_path)
    assert report.failed == 0, report.failures
    assert report.passed >= 50


def test_the_use_case_checkers_see_a_write_that_does_nothing(
    modern: Running, tmp_path: Path
) -> None:
    """The gate fails where a boot override is taken and forgotten."""
    with proxy(modern, answering=seeds.boot_override_that_does_nothing) as port:
        bad = validators.use_cases(port, tmp_path, "BootOverride")
    assert bad.failed >= 1


@pytest.mark.parametrize("profile", OCP)
def test_a_profile_of_ocp_is_met(
    legacy: Running, tmp_path: Path, shared: Path, expected: dict[str, Any], profile: str
) -> None:
    """The industry's requirements of such a BMC hold without an exception.

    As it is published, a profile fails where the validator cannot match its use cases: so often,
    and nowhere else.
    """
    published = shared / "data" / "redfish-profiles"
    unmatched = validators.matchable(published, tmp_path / "profiles")
    report = validators.interop(
        legacy.port, tmp_path / "matchable", tmp_path / "profiles" / f"{profile}.json"
    )
    assert report.failed == 0, report.failures
    assert report.passed > 0
    assert {name for name, _ in report.findings} <= set(expected["interop_warnings"])
    if unmatched[profile]:
        as_it_is = validators.interop(
            legacy.port, tmp_path / "published", published / f"{profile}.json"
        )
        assert (as_it_is.failed, as_it_is.failures) == (unmatched[profile], ())


@pytest.mark.parametrize(
    ("profile", "uri", "names"),
    [
        (OCP[0], "/redfish/v1/TaskService", ("DateTime",)),
        (OCP[1], METRICS, ("PowerLimitWatts", "SetPoint")),
        (OCP[2], f"{CDU}/LeakDetection", ("LeakDetectorGroups",)),
        (OCP[3], f"{CDU}/Pumps/1", ("PumpType",)),
        (OCP[4], f"{PDU}/Branches/L1", ("PowerRestorePolicy",)),
        (OCP[5], seeds.SENSOR, ("Reading",)),
    ],
)
def test_a_profile_of_ocp_misses_a_property(
    legacy: Running, tmp_path: Path, shared: Path, profile: str, uri: str, names: tuple[str, ...]
) -> None:
    """Each gate fails where one required property is gone, and names it."""
    validators.matchable(shared / "data" / "redfish-profiles", tmp_path / "profiles")
    path = tmp_path / "profiles" / f"{profile}.json"
    with proxy(legacy, answering=seeds.without(uri, *names)) as port:
        bad = validators.interop(port, tmp_path / "bad", path, only=uri)
    assert any(f"FAIL - /{'/'.join(names)} " in failure for failure in bad.failures), bad.failures
