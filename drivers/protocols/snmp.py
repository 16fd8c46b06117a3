"""Devices with an SNMP agent: UPSes, rack PDUs (SNMPv1, v2c and v3 through pysnmp)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from drivers.codec import PointCodec
from drivers.errors import TargetError, TransportError
from drivers.profile_types import Profile
from drivers.profile_types import Transport as TransportSettings
from drivers.protocols.number_plan import NumberPlan, in_batches, raw_number
from drivers.protocols.snmp_target import SnmpTarget, parse_snmp_target

if TYPE_CHECKING:
    from drivers.protocols.snmp_session import SnmpSession

_OID = r"^1(\.(0|[1-9][0-9]{0,9})){2,63}$"
# Fits into one datagram of an Ethernet frame also with long names; an agent may still refuse it.
_OBJECTS_PER_REQUEST = 20

# Error status of RFC 3416, 3.
_TOO_BIG, _NO_SUCH_NAME = 1, 2

_DECIMAL = re.compile(r"\s*[+-]?\d{1,18}(\.\d{1,18})?\s*")


@dataclass(frozen=True, slots=True)
class Object:
    """A value of an agent: the number at `oid`, divided by ten to the power of that at `digits`.

    With `under` the value is itself an OID, and the number is whether it lies in that subtree.
    """

    oid: str
    digits: str | None = None
    under: str | None = None


@dataclass(frozen=True, slots=True)
class SnmpWrite:
    """A whole number to set."""

    oid: str
    type: str
    number: int


class SnmpTransport:
    """See Transport; a request is a tuple of Object, the answer their numbers."""

    def __init__(self, session: SnmpSession, name: str) -> None:
        self._session = session
        self._name = name

    def open(self) -> None:
        """Nothing: only an answer shows that an agent is there."""

    def read(self, unit: int, request: Sequence[Object], timeout_s: float) -> list[float]:  # noqa: ARG002
        """See Transport; NaN for an object that the agent does not have."""
        oids = list(dict.fromkeys(_oids(request)))
        values = self._get(oids, timeout_s)
        return [_number(wanted, values) for wanted in request]

    def write(self, unit: int, request: SnmpWrite, timeout_s: float) -> None:  # noqa: ARG002
        """See Transport."""
        status, _, _ = self._session.set(request.oid, request.type, request.number, timeout_s)
        if status:
            raise self._refusal(status)

    def close(self) -> None:
        """See Transport."""
        self._session.close()

    def _get(self, oids: list[str], timeout_s: float) -> dict[str, Any]:
        """The values by OID, whatever the agent needs to be asked for that; without those absent.

        An agent that finds a request too big gets halves of it; one of version 1 that misses an
        object names it and gets the others again.
        """
        if not oids:
            return {}
        status, index, values = self._session.get(oids, timeout_s)
        if not status:
            return values
        if status == _TOO_BIG and len(oids) > 1:
            middle = len(oids) // 2
            return self._get(oids[:middle], timeout_s) | self._get(oids[middle:], timeout_s)
        if status == _NO_SUCH_NAME and 0 < index <= len(oids):
            return self._get(oids[: index - 1] + oids[index:], timeout_s)
        raise self._refusal(status)

    def _refusal(self, status: int) -> TransportError:
        return TransportError(
            f"{self._name}: the agent refuses: {_STATUS.get(status, status)}", refused=True
        )


# RFC 3416, 3: the names of error status.
_STATUS = {
    1: "tooBig", 2: "noSuchName", 3: "badValue", 4: "readOnly", 5: "genErr", 6: "noAccess",
    7: "wrongType", 8: "wrongLength", 9: "wrongEncoding", 10: "wrongValue", 11: "noCreation",
    12: "inconsistentValue", 13: "resourceUnavailable", 14: "commitFailed", 15: "undoFailed",
    16: "authorizationError", 17: "notWritable", 18: "inconsistentName",
}  # fmt: skip


def _oids(request: Iterable[Object]) -> Iterable[str]:
    for wanted in request:
        yield wanted.oid
        if wanted.digits is not None:
            yield wanted.digits


def _number(wanted: Object, values: Mapping[str, Any]) -> float:
    value = values.get(wanted.oid)
    if wanted.under is not None:
        return float(_in_subtree(value, wanted.under)) if isinstance(value, tuple) else math.nan
    number = _as_number(value)
    if wanted.digits is not None:
        digits = _as_number(values.get(wanted.digits))
        # Without its digits the number means nothing: never guess a scale.
        return number / 10.0**digits if abs(digits) <= 18 else math.nan
    return number


def _in_subtree(oid: tuple[int, ...], root: str) -> bool:
    start = tuple(map(int, root.split(".")))
    return oid[: len(start)] == start


def _as_number(value: Any) -> float:
    """A number, or the text of a decimal number as some agents send; NaN for all else."""
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, bytes):
        text = value.decode("ascii", "replace")
        return float(text) if _DECIMAL.fullmatch(text) else math.nan
    return math.nan


class SnmpProtocol:
    """See DeviceProtocol."""

    name = "snmp"
    schemes = ("snmp",)
    point_schema: Mapping[str, Any] = MappingProxyType(
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["oid"],
            "properties": {
                "oid": {"type": "string", "pattern": _OID},
                "digits": {"type": "string", "pattern": _OID},
                "under": {"type": "string", "pattern": _OID},
                "type": {"enum": ["Integer32", "Gauge32"]},
            },
            "not": {"required": ["digits", "under"]},
        }
    )

    def parse_target(self, text: str) -> SnmpTarget:
        """See DeviceProtocol."""
        return parse_snmp_target(text)

    def transport(self, target: SnmpTarget, settings: TransportSettings) -> SnmpTransport:  # noqa: ARG002
        """See DeviceProtocol."""
        try:
            from drivers.protocols.snmp_session import SnmpSession
        except ImportError as error:
            raise TargetError(
                f"{target.bus}: SNMP needs pysnmp: pip install 'dcpi-bmc[snmp]' ({error})"
            ) from error
        return SnmpTransport(SnmpSession(target), target.bus)

    def plan(self, profile: Profile, codecs: Sequence[PointCodec]) -> NumberPlan:  # noqa: ARG002
        """See DeviceProtocol."""
        return in_batches(codecs, _OBJECTS_PER_REQUEST, lambda batch: tuple(map(_object, batch)))

    def heartbeat(self, profile: Profile) -> tuple[Object, ...]:  # noqa: ARG002
        """See DeviceProtocol: sysUpTime (RFC 3418), which every agent has."""
        return (Object("1.3.6.1.2.1.1.3.0"),)

    def write_request(self, codec: PointCodec, value: float) -> SnmpWrite:
        """See DeviceProtocol."""
        at = codec.point.at
        return SnmpWrite(at["oid"], at.get("type", "Integer32"), round(raw_number(codec, value)))


def _object(codec: PointCodec) -> Object:
    at = codec.point.at
    return Object(at["oid"], at.get("digits"), at.get("under"))


SNMP = SnmpProtocol()
