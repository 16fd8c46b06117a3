"""One agent asked through pysnmp, from one thread; values come back as plain Python ones."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Coroutine, Sequence
from typing import Any

from pyasn1.type import univ
from pysnmp import error as pysnmp_error
from pysnmp.hlapi.v3arch import asyncio as hlapi
from pysnmp.proto import rfc1902, rfc1905

from drivers.errors import TransportError
from drivers.protocols.snmp_target import SnmpTarget, User

# A datagram may be lost: half of the time is left for a second one.
_RETRIES = 1

AUTH = {
    "MD5": hlapi.USM_AUTH_HMAC96_MD5,
    "SHA": hlapi.USM_AUTH_HMAC96_SHA,
    "SHA224": hlapi.USM_AUTH_HMAC128_SHA224,
    "SHA256": hlapi.USM_AUTH_HMAC192_SHA256,
    "SHA384": hlapi.USM_AUTH_HMAC256_SHA384,
    "SHA512": hlapi.USM_AUTH_HMAC384_SHA512,
}
PRIV = {
    "DES": hlapi.USM_PRIV_CBC56_DES,
    "AES128": hlapi.USM_PRIV_CFB128_AES,
    "AES192": hlapi.USM_PRIV_CFB192_AES,
    "AES256": hlapi.USM_PRIV_CFB256_AES,
}
_ABSENT = (rfc1905.NoSuchObject, rfc1905.NoSuchInstance, rfc1905.EndOfMibView, univ.Null)
_OPAQUE_FLOAT = b"\x9f\x78\x04"  # net-snmp's float within an Opaque

_Answer = tuple[int, int, dict[str, Any]]


class SnmpSession:
    """Answers are error status and index (RFC 3416, 3) and the values by OID."""

    def __init__(self, target: SnmpTarget) -> None:
        self._target = target
        self._auth = _auth(target)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._engine: hlapi.SnmpEngine | None = None

    def get(self, oids: Sequence[str], timeout_s: float) -> _Answer:
        """The values of these objects, without those that the agent has not."""
        return self._run(
            hlapi.get_cmd, [hlapi.ObjectType(hlapi.ObjectIdentity(oid)) for oid in oids], timeout_s
        )

    def set(self, oid: str, type_name: str, number: int, timeout_s: float) -> _Answer:
        """Set one object to a number of that type of RFC 2578, 7.1."""
        value = getattr(rfc1902, type_name)(number)
        return self._run(
            hlapi.set_cmd, [hlapi.ObjectType(hlapi.ObjectIdentity(oid), value)], timeout_s
        )

    def close(self) -> None:
        """Forget sockets and what was learnt of the agent."""
        engine, self._engine = self._engine, None
        loop, self._loop = self._loop, None
        if engine is not None:
            engine.close_dispatcher()
        if loop is not None:
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()

    def _run(self, command: Any, objects: list[Any], timeout_s: float) -> _Answer:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        try:
            return self._loop.run_until_complete(self._ask(command, objects, timeout_s))
        except (pysnmp_error.PySnmpError, OSError) as error:
            self.close()
            raise TransportError(f"{self._target.bus}: {_line(error)}") from error

    async def _ask(self, command: Any, objects: list[Any], timeout_s: float) -> _Answer:
        if self._engine is None:
            self._engine = hlapi.SnmpEngine()
        address = (self._target.host, self._target.port)
        kind = hlapi.Udp6TransportTarget if ":" in self._target.host else hlapi.UdpTransportTarget
        agent = await kind.create(address, timeout=timeout_s / (1 + _RETRIES), retries=_RETRIES)
        request: Coroutine[Any, Any, Any] = command(
            self._engine, self._auth, agent, hlapi.ContextData(), *objects, lookupMib=False
        )
        failure, status, index, bindings = await request
        if failure:
            raise TransportError(f"{self._target.bus}: {_line(failure)}")
        values = {str(name): _plain(value) for name, value in bindings}
        known = {oid: value for oid, value in values.items() if value is not None}
        return int(status), int(index), known


def _auth(target: SnmpTarget) -> Any:
    if target.user is not None:
        return _usm(target.user)
    return hlapi.CommunityData(target.community, mpModel=0 if target.version == "1" else 1)


def _usm(user: User) -> Any:
    if user.priv is None:
        return hlapi.UsmUserData(user.name, user.auth_key, authProtocol=AUTH[user.auth])
    return hlapi.UsmUserData(
        user.name,
        user.auth_key,
        user.priv_key,
        authProtocol=AUTH[user.auth],
        privProtocol=PRIV[user.priv],
    )


def _plain(value: Any) -> Any:
    """int, float, bytes, or a tuple for an OID; None when the agent has no such object."""
    if isinstance(value, _ABSENT):
        return None
    if isinstance(value, univ.ObjectIdentifier):
        return tuple(value)
    if isinstance(value, rfc1902.Opaque):
        data = bytes(value)
        if data.startswith(_OPAQUE_FLOAT) and len(data) == 7:
            return float(struct.unpack(">f", data[3:])[0])
        return data
    if isinstance(value, univ.OctetString):
        return bytes(value)
    return int(value)


def _line(error: object) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
