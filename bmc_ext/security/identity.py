"""Who asks, in which role, with which privileges (DSP0266 clause 13, DCPI 10.2.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Self

LOGIN: Final = "Login"
CONFIGURE_MANAGER: Final = "ConfigureManager"
CONFIGURE_USERS: Final = "ConfigureUsers"
CONFIGURE_COMPONENTS: Final = "ConfigureComponents"
CONFIGURE_SELF: Final = "ConfigureSelf"

DCPI_WORKLOAD: Final = "DcpiWorkload"
DCPI_THERMAL: Final = "DcpiThermal"
DCPI_GRID: Final = "DcpiGrid"
DCPI_HEAT: Final = "DcpiHeat"

STANDARD_PRIVILEGES: Final = (
    LOGIN,
    CONFIGURE_MANAGER,
    CONFIGURE_USERS,
    CONFIGURE_COMPONENTS,
    CONFIGURE_SELF,
)
"""Redfish's own privileges, in the order of DSP0266."""

OEM_PRIVILEGES: Final = (DCPI_WORKLOAD, DCPI_THERMAL, DCPI_GRID, DCPI_HEAT)
"""DCPI's privileges: one for each of the four domains of control of DCPI 10.2.2."""

_OWN: Final = frozenset({LOGIN, CONFIGURE_SELF})

ROLES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        # The three predefined roles of DSP0266.
        "Administrator": frozenset(STANDARD_PRIVILEGES + OEM_PRIVILEGES),
        "Operator": _OWN | {CONFIGURE_COMPONENTS} | frozenset(OEM_PRIVILEGES),
        "ReadOnly": _OWN,
        # The four of DCPI 10.2.2 a to d.
        "WorkloadOperator": _OWN | {DCPI_WORKLOAD},
        "InfrastructureManager": _OWN | {CONFIGURE_COMPONENTS, DCPI_THERMAL, DCPI_HEAT},
        "GridOperator": _OWN | {DCPI_GRID},
        "MunicipalPartner": _OWN | {DCPI_HEAT},
    }
)
"""Privileges of every role; all are predefined and none can be changed."""


READ_AGGREGATED: Final = "ReadAggregated"
"""Held by whoever asks without identity where that is configured, and by no role."""


@dataclass(frozen=True, slots=True)
class Identity:
    """An authenticated user; `session_id` is None where each request brings its own credentials.

    One that `must_change_password` holds no privilege.
    """

    username: str
    role: str
    privileges: frozenset[str]
    session_id: str | None = None
    must_change_password: bool = False

    def has(self, privilege: str) -> bool:
        """Whether this user holds that privilege."""
        return privilege in self.privileges

    def that_must_change_password(self) -> Self:
        """The same user, who may do nothing but that."""
        return replace(self, privileges=frozenset(), must_change_password=True)

    def in_session(self, session_id: str) -> Self:
        """The same user, authenticated by that session."""
        return replace(self, session_id=session_id)


AGGREGATED: Final = Identity("aggregated", "None", frozenset({READ_AGGREGATED}))
"""Whoever asks on the listener for aggregated access."""


def identity_of(username: str, role: str) -> Identity:
    """The identity of a user in a role; ValueError naming the roles when there is no such role."""
    if role not in ROLES:
        raise ValueError(f"no role {role!r}; the roles are {', '.join(ROLES)}")
    return Identity(username, role, ROLES[role])
