"""One simulated device: the register image that its profile describes."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace

from drivers.codec import PointCodec, bytes_to_registers, registers_to_bytes
from drivers.profile import Point, Profile
from drivers.register_image import decode_image, encode_image, with_other_bits

# Exception codes of the Modbus Application Protocol V1.1b3, chapter 7.
ILLEGAL_FUNCTION = 1
ILLEGAL_ADDRESS = 2
ILLEGAL_VALUE = 3
DEVICE_FAILURE = 4

# Objects 0 to 2 of Read Device Identification (the same, 6.21): a simulation says that it is one.
VENDOR_NAME = b"dcpi-bmc"
PRODUCT_CODE = b"simulated device"
REVISION = b"1"


class RefusedRequestError(Exception):
    """A request that the device answers with an exception; `code` is the Modbus exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"Modbus exception {code}")
        self.code = code


class SimulatedDevice:
    """A device's registers, set and read by point in canonical units.

    `ct_ratio` and `pt_ratio` are the instrument transformers in front of it: with them `set` takes
    line values. `on_write(point, value)` is called, from a server's thread, after a master wrote a
    point. `silent` answers nothing, `ignores_writes` acknowledges writes and does nothing,
    `delay_s` answers late, `drop_outs` and `exceptions` are the shares of requests that are left
    unanswered or refused, `shift` is how far the registers stand above the profile's addresses.
    """

    def __init__(self, profile: Profile, *, ct_ratio: float = 1.0, pt_ratio: float = 1.0) -> None:
        self.profile = profile
        self.on_write: Callable[[str, float], None] | None = None
        self.silent = False
        self.ignores_writes = False
        self.delay_s = 0.0
        self.drop_outs = 0.0
        self.exceptions = 0.0
        self.shift = 0
        self.random = random.Random()
        self._lock = threading.Lock()
        self._codecs = {
            name: PointCodec(point, ct_ratio, pt_ratio) for name, point in profile.points.items()
        }
        # Per function code, register by address: only what the profile maps exists.
        self._registers: dict[int, dict[int, int]] = {1: {}, 2: {}, 3: {}, 4: {}}
        for point in profile.points.values():
            for address in range(point.address, point.address + point.registers):
                self._registers[point.fc][address] = 0
        for text in profile.identify_texts:
            self._registers[text.fc].update(enumerate(text.registers, text.address))
        self._spans = {
            fc: range(min(image, default=0), max(image, default=-1) + 1)
            for fc, image in self._registers.items()
        }

    def misorder(self, order: str) -> None:
        """Hold every value in another byte order than the profile says, from the next set on."""
        self._codecs = {
            name: replace(codec, point=replace(codec.point, order=order))
            for name, codec in self._codecs.items()
        }

    def hears(self) -> bool:
        """Whether the device answers the next request at all."""
        return not self.silent and not (self.drop_outs and self.random.random() < self.drop_outs)

    def set(self, point: str, value: float | None) -> None:
        """Set a point to a canonical value, or to the device's own sign for absent with None.

        KeyError names an unknown point; ValueError a point that has no sign for absent.
        """
        self.update({point: value})

    def update(self, values: Mapping[str, float | None]) -> None:
        """Set several points at once: no master sees some of them old and some new."""
        for name in values:
            self.profile.point(name)
        encoded = encode_image(self._codecs, values, self.get)
        with self._lock:
            for name, data in encoded.items():
                point = self.profile.points[name]
                held = with_other_bits(point, data, self._held(point))
                registers = enumerate(bytes_to_registers(held), point.address)
                self._registers[point.fc].update(registers)

    def get(self, point: str) -> float | None:
        """What the registers of a point say, canonical; None when absent or impossible."""
        self.profile.point(point)
        with self._lock:
            return decode_image(self._codecs, point, self._held)[0]

    def _held(self, point: Point) -> bytes:
        image = self._registers[point.fc]
        return registers_to_bytes(
            [image[point.address + offset] for offset in range(point.registers)]
        )

    def read_registers(self, fc: int, address: int, count: int) -> list[int]:
        """What a master's read is answered with; raises RefusedRequestError as the device would."""
        if fc not in self._registers:
            raise RefusedRequestError(ILLEGAL_FUNCTION)
        if not 1 <= count <= self.profile.transport.limit(fc):
            raise RefusedRequestError(ILLEGAL_VALUE)
        if self.exceptions and self.random.random() < self.exceptions:
            raise RefusedRequestError(DEVICE_FAILURE)
        image = self._registers[fc]
        wanted = range(address - self.shift, address - self.shift + count)
        with self._lock:
            if self.profile.transport.gap_readable:
                if wanted[0] not in self._spans[fc] or wanted[-1] not in self._spans[fc]:
                    raise RefusedRequestError(ILLEGAL_ADDRESS)
                return [image.get(register, 0) for register in wanted]
            try:
                return [image[register] for register in wanted]
            except KeyError:
                raise RefusedRequestError(ILLEGAL_ADDRESS) from None

    def write_registers(self, address: int, registers: list[int]) -> None:
        """A master's write of holding registers; raises RefusedRequestError as the device would."""
        written = range(address - self.shift, address - self.shift + len(registers))
        points = [point for point in self.profile.points.values() if _covers(point, written)]
        if sum(point.registers for point in points) != len(registers):
            raise RefusedRequestError(ILLEGAL_ADDRESS)
        if self.ignores_writes:
            return
        with self._lock:
            self._registers[3].update(zip(written, registers, strict=True))
        for point in points:
            value = self.get(point.name)
            if self.on_write is not None and value is not None:
                self.on_write(point.name, value)


def _covers(point: Point, written: range) -> bool:
    """Whether a writable point lies wholly inside the written registers."""
    return (
        point.write is not None
        and point.address in written
        and point.address + point.registers - 1 in written
    )
