"""Modbus as the engine sees it: targets, batched reads, and writes by function 6, 16, 22 or 23."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drivers.codec import BlockCodec, PointCodec
from drivers.modbus_pdu import WriteBlock
from drivers.modbus_rtu import RtuTransport
from drivers.modbus_tcp import TcpTransport
from drivers.profile_types import Profile
from drivers.profile_types import Transport as TransportSettings
from drivers.protocol import Transport
from drivers.read_plan import ReadBlock, plan_reads
from drivers.target import Target, TcpTarget, parse_target


class _ModbusPlan:
    """The reads of a group, each of whose answers are registers as bytes."""

    def __init__(self, profile: Profile, codecs: Sequence[PointCodec]) -> None:
        plan = plan_reads([codec.point for codec in codecs], profile.transport)
        self.requests: tuple[ReadBlock, ...] = plan.blocks
        self._codec = BlockCodec(codecs, plan.positions)

    def decode(self, answers: Sequence[bytes]) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """See GroupPlan."""
        return self._codec.decode(b"".join(answers))

    def decode_many(
        self, answers: Sequence[Sequence[bytes]]
    ) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """As `decode`, for many devices at once: both arrays are (devices, points)."""
        data = b"".join(itertools.chain.from_iterable(answers))
        return self._codec.decode_image(np.frombuffer(data, np.uint8).reshape(len(answers), -1))


class ModbusProtocol:
    """See DeviceProtocol; requests are ReadBlock and WriteBlock, answers registers as bytes."""

    name = "modbus"
    schemes = ("tcp", "serial", "rtu+tcp")
    # Its points have addr, fc, type and order of their own.
    point_schema: Mapping[str, Any] = MappingProxyType({})

    def parse_target(self, text: str) -> Target:
        """See DeviceProtocol."""
        return parse_target(text)

    def transport(self, target: Target, settings: TransportSettings) -> Transport:
        """See DeviceProtocol; a serial target without rate or framing gets those of `settings`."""
        if isinstance(target, TcpTarget):
            return TcpTransport(target)
        baud, framing = target.baud or settings.baud[0], target.framing or settings.framing
        return RtuTransport(target, baud, framing)

    def plan(self, profile: Profile, codecs: Sequence[PointCodec]) -> _ModbusPlan:
        """See DeviceProtocol."""
        return _ModbusPlan(profile, codecs)

    def heartbeat(self, profile: Profile) -> ReadBlock:
        """See DeviceProtocol."""
        point = min(profile.points.values(), key=lambda point: point.registers)
        return ReadBlock(point.fc, point.address, point.registers)

    def write_request(self, codec: PointCodec, value: float) -> WriteBlock:
        """See DeviceProtocol."""
        point = codec.point
        assert point.write is not None
        mask = 0xFFFF if point.mask is None else point.mask
        return WriteBlock(point.write.fc, point.address, codec.encode(value), mask)


MODBUS = ModbusProtocol()
