"""A simulated SunSpec device: the chain of models that its profile names, for a Modbus server."""

from __future__ import annotations

import math
import struct
import threading
from collections.abc import Mapping

from drivers.profile_types import Point
from drivers.protocols.sunspec import BASES, MARKER, TYPES
from drivers.simulation.device import ILLEGAL_ADDRESS, ILLEGAL_FUNCTION, RefusedRequestError
from drivers.simulation.point_values import PointValues

_SCALE_FACTOR = -2
_COMMON_MODEL = 1
_COMMON_LENGTH = 66
_READ_HOLDING = 3


class SunSpecDevice:
    """A Modbus device (see ModbusTcpServer) whose models stand from `base` on.

    `lengths` gives the registers of a model after ID and length where they are more than the
    profile needs; all factors are 0.01 unless a model holds larger numbers than that allows.
    """

    def __init__(
        self, values: PointValues, base: int = BASES[0], lengths: Mapping[int, int] | None = None
    ) -> None:
        self._values = values
        self._lock = threading.Lock()
        self._registers: dict[int, int] = {}
        self._models: dict[tuple[int, int], int] = {}
        self._lay_out(base, dict(lengths or {}))
        values.on_change = self._write_all
        self._write_all()

    @property
    def silent(self) -> bool:
        """Whether nothing is answered."""
        return self._values.silent

    def hears(self) -> bool:
        """Whether the next request is answered at all."""
        return self._values.hears()

    @property
    def delay_s(self) -> float:
        """How late an answer is, in s."""
        return self._values.delay_s

    def read_registers(self, fc: int, address: int, count: int) -> list[int]:
        """See SimulatedDevice."""
        if fc != _READ_HOLDING:
            raise RefusedRequestError(ILLEGAL_FUNCTION)
        with self._lock:
            try:
                return [self._registers[address + k] for k in range(count)]
            except KeyError:
                raise RefusedRequestError(ILLEGAL_ADDRESS) from None

    def write_registers(self, address: int, registers: list[int]) -> None:  # noqa: ARG002
        """Nothing can be written."""
        raise RefusedRequestError(ILLEGAL_ADDRESS)

    def _lay_out(self, base: int, lengths: dict[int, int]) -> None:
        places: dict[tuple[int, int], int] = {(_COMMON_MODEL, 1): _COMMON_LENGTH + 2}
        for point in self._values.profile.points.values():
            at = point.at
            end = at["offset"] + struct.calcsize(TYPES[at["type"]][0]) // 2
            end = max(end, at.get("scale_factor", 0) + 1, lengths.get(at["model"], 0) + 2)
            key = (at["model"], at.get("instance", 1))
            places[key] = max(places.get(key, 0), end)
        self._store(base, MARKER)
        address = base + 2
        for (model, instance), size in sorted(places.items()):
            self._models[model, instance] = address
            self._store(address, struct.pack(">HH", model, size - 2) + bytes(2 * (size - 2)))
            address += size
        self._store(address, b"\xff\xff\x00\x00")

    def _write_all(self) -> None:
        points = self._values.profile.points.values()
        factors: dict[tuple[int, int], int] = {}
        for point in points:
            place = self._factor_place(point)
            if place is not None:
                factors[place] = max(factors.get(place, _SCALE_FACTOR), self._power(point))
        with self._lock:
            for (address, offset), power in factors.items():
                self._store(address + offset, struct.pack(">h", power))
            for point in points:
                place = self._factor_place(point)
                self._put(point, 0 if place is None else factors[place])

    def _factor_place(self, point: Point) -> tuple[int, int] | None:
        offset = point.at.get("scale_factor")
        return None if offset is None else (self._address(point), offset)

    def _address(self, point: Point) -> int:
        return self._models[point.at["model"], point.at.get("instance", 1)]

    def _power(self, point: Point) -> int:
        """The least power of ten from -2 on at which the number fits into its type."""
        layout, _ = TYPES[point.at["type"]]
        largest = 2 ** (8 * struct.calcsize(layout) - 1) - 2
        number = abs(self._values.raw(point.name))
        power = _SCALE_FACTOR
        while not math.isnan(number) and number / 10.0**power > largest:
            power += 1
        return power

    def _put(self, point: Point, power: int) -> None:
        layout, none = TYPES[point.at["type"]]
        number = self._values.raw(point.name) / 10.0**power
        if layout in (">f", ">d"):
            packed = struct.pack(layout, number)
        else:
            absent = math.isnan(number)
            packed = struct.pack(layout, int(none or 0) if absent else round(number))
        self._store(self._address(point) + point.at["offset"], packed)

    def _store(self, address: int, data: bytes) -> None:
        registers = struct.unpack(f">{len(data) // 2}H", data)
        self._registers.update(enumerate(registers, address))
