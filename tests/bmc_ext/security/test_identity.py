"""Roles and privileges."""

import pytest

from bmc_ext.security.identity import OEM_PRIVILEGES, ROLES, STANDARD_PRIVILEGES, identity_of


def test_the_predefined_roles_hold_the_standard_privileges_of_dsp0266() -> None:
    """Administrator, Operator and ReadOnly hold exactly what DSP0266 assigns to them."""
    standard = frozenset(STANDARD_PRIVILEGES)
    assert ROLES["Administrator"] & standard == standard
    assert ROLES["Operator"] & standard == {"Login", "ConfigureComponents", "ConfigureSelf"}
    assert ROLES["ReadOnly"] == {"Login", "ConfigureSelf"}


def test_each_partner_role_holds_its_own_domain_only() -> None:
    """Of the four DCPI privileges a role of 10.2.2 holds those of its own domain."""
    oem = {role: ROLES[role] & set(OEM_PRIVILEGES) for role in ROLES}
    assert oem["WorkloadOperator"] == {"DcpiWorkload"}
    assert oem["InfrastructureManager"] == {"DcpiThermal", "DcpiHeat"}
    assert oem["GridOperator"] == {"DcpiGrid"}
    assert oem["MunicipalPartner"] == {"DcpiHeat"}
    assert oem["Operator"] == oem["Administrator"] == set(OEM_PRIVILEGES)


def test_an_unknown_role_is_refused_by_name() -> None:
    """The error names the role that does not exist and those that do."""
    with pytest.raises(ValueError, match=r"'Root'.*Administrator"):
        identity_of("anna", "Root")


def test_an_identity_in_a_session_keeps_everything_else() -> None:
    """Only the session id differs."""
    identity = identity_of("anna", "GridOperator")
    inside = identity.in_session("42")
    assert inside.session_id == "42"
    assert (inside.username, inside.role) == ("anna", "GridOperator")
    assert inside.has("DcpiGrid")
    assert not inside.has("DcpiHeat")
