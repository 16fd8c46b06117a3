"""A simulated SNMP agent on pysnmp: the objects that its profile names, over UDP."""

from __future__ import annotations

import asyncio
import bisect
import math
import threading
import time
from typing import Any

from pysnmp.carrier.asyncio.dgram import udp
from pysnmp.entity import config, engine
from pysnmp.entity.rfc3413 import cmdrsp, context
from pysnmp.proto.api import v2c
from pysnmp.smi import error
from pysnmp.smi.instrum import AbstractMibInstrumController

from drivers.protocols.snmp_target import User
from drivers.simulation.point_values import PointValues

_SYS_OBJECT_ID = (1, 3, 6, 1, 2, 1, 1, 2, 0)
_SYS_UP_TIME = (1, 3, 6, 1, 2, 1, 1, 3, 0)
_EVERYTHING = (1, 3)
_NET_SNMP = (1, 3, 6, 1, 4, 1, 32473)  # the enterprise number that is free for examples, RFC 5612

_Oid = tuple[int, ...]


class _Objects(AbstractMibInstrumController):  # type: ignore[misc]  # pysnmp ships no types
    """The agent's objects: each point's number, and what MIB-II's system group must have."""

    def __init__(self, values: PointValues, extra: dict[str, Any]) -> None:
        self._values = values
        self._extra = {_oid(text): value for text, value in extra.items()}
        self._began = time.monotonic()
        self._points = {
            _oid(point.at["oid"]): name
            for name, point in values.profile.points.items()
            if "under" not in point.at
        }
        self._digits = {
            _oid(point.at["digits"])
            for point in values.profile.points.values()
            if "digits" in point.at
        }
        roots = [p.at["under"] for p in values.profile.points.values() if "under" in p.at]
        self._object_id = _oid(roots[0]) if roots else _NET_SNMP
        known = {_SYS_OBJECT_ID, _SYS_UP_TIME, *self._points, *self._digits, *self._extra}
        self._sorted = sorted(known)

    def read_variables(self, *bindings: Any, **_: Any) -> list[Any]:
        """GET."""
        self._keep_manners()
        return [(name, self._value(tuple(name), v2c.NoSuchInstance(""))) for name, _ in bindings]

    def read_next_variables(self, *bindings: Any, **_: Any) -> list[Any]:
        """GETNEXT, and GETBULK made of it."""
        self._keep_manners()
        found = []
        for name, _value in bindings:
            place = bisect.bisect_right(self._sorted, tuple(name))
            while place < len(self._sorted):
                value = self._value(self._sorted[place], None)
                if value is not None:
                    found.append((v2c.ObjectIdentifier(self._sorted[place]), value))
                    break
                place += 1
            else:
                found.append((name, v2c.EndOfMibView("")))
        return found

    def write_variables(self, *bindings: Any, **_: Any) -> list[Any]:
        """SET of the points that may be written; pysnmp answers the error for all others."""
        self._keep_manners()
        for index, (name, value) in enumerate(bindings):
            point = self._points.get(tuple(name))
            if point is None or self._values.profile.points[point].write is None:
                raise error.NotWritableError(name=name, idx=index)
            self._values.set_raw(point, float(int(value)))
        return list(bindings)

    def _keep_manners(self) -> None:
        """Answer late, or not at all: pysnmp drops a request that ends with its bare error."""
        if not self._values.hears():
            raise error.PySnmpError("silent")
        if self._values.delay_s:
            time.sleep(self._values.delay_s)

    def _value(self, oid: _Oid, absent: Any) -> Any:
        if oid == _SYS_OBJECT_ID:
            return v2c.ObjectIdentifier(self._object_id)
        if oid == _SYS_UP_TIME:
            return v2c.TimeTicks(int((time.monotonic() - self._began) * 100))
        if oid in self._extra:
            return _typed(self._extra[oid])
        if oid in self._digits:
            return v2c.Integer32(_DIGITS)
        point = self._points.get(oid)
        if point is None:
            return absent
        number = self._values.raw(point)
        if "digits" in self._values.profile.points[point].at:
            number *= 10.0**_DIGITS
        return absent if math.isnan(number) else v2c.Integer32(round(number))


_DIGITS = 2


class SnmpAgent:
    """Answers SNMPv1 and v2c with `community`, and v3 for `user`; `extra` are further objects.

    A value of `extra` is a number or a text. `port` is free unless given.
    """

    def __init__(
        self,
        values: PointValues,
        *,
        community: str = "public",
        user: User | None = None,
        extra: dict[str, Any] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.port = port
        self._host = host
        self._values = values
        self._community = community
        self._user = user
        self._extra = extra or {}
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    def start(self) -> None:
        """Answer from a thread; the port is bound on return."""
        self._ready.clear()
        self._thread = threading.Thread(target=self._run, name="snmp-agent", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Stop answering; a later `start` has the same port."""
        if self._thread is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        loop = self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            agent = self._set_up(loop)
        except BaseException as error:
            self._failure = error
            self._ready.set()
            return
        self._ready.set()
        loop.run_forever()
        agent.close_dispatcher()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()

    def _set_up(self, loop: asyncio.AbstractEventLoop) -> Any:
        agent = engine.SnmpEngine()
        transport = udp.UdpAsyncioTransport(loop=loop).open_server_mode((self._host, self.port))
        config.add_transport(agent, udp.DOMAIN_NAME, transport)
        loop.run_until_complete(transport._lport)
        self.port = transport.transport.get_extra_info("sockname")[1]
        config.add_v1_system(agent, "area", self._community)
        for model in (1, 2):
            config.add_vacm_user(agent, model, "area", "noAuthNoPriv", _EVERYTHING, _EVERYTHING)
        if self._user is not None:
            _add_user(agent, self._user)
        names = context.SnmpContext(agent)
        names.unregister_context_name(b"")
        names.register_context_name(b"", _Objects(self._values, self._extra))
        for responder in (
            cmdrsp.GetCommandResponder,
            cmdrsp.NextCommandResponder,
            cmdrsp.BulkCommandResponder,
            cmdrsp.SetCommandResponder,
        ):
            responder(agent, names)
        agent.transport_dispatcher.job_started(1)
        return agent


def _add_user(agent: Any, user: User) -> None:
    from drivers.protocols.snmp_session import AUTH, PRIV

    config.add_v3_user(
        agent,
        user.name,
        AUTH[user.auth],
        user.auth_key,
        PRIV[user.priv] if user.priv is not None else config.USM_PRIV_NONE,
        user.priv_key,
    )
    level = "authPriv" if user.priv is not None else "authNoPriv"
    config.add_vacm_user(agent, 3, user.name, level, _EVERYTHING, _EVERYTHING)


def _oid(text: str) -> _Oid:
    return tuple(map(int, text.split(".")))


def _typed(value: Any) -> Any:
    return v2c.Integer32(value) if isinstance(value, int) else v2c.OctetString(str(value))
