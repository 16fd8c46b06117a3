"""Which reads fetch a group of points: few, within what the device can take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from drivers.profile_types import Point, Transport


@dataclass(frozen=True, slots=True)
class ReadBlock:
    """One read: `count` registers from `address` by function `fc`."""

    fc: int
    address: int
    count: int


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """The reads of a group and, by point, where its registers start in their joined data."""

    blocks: tuple[ReadBlock, ...]
    positions: dict[str, int]

    @property
    def registers(self) -> int:
        """How many registers all reads together fetch."""
        return sum(block.count for block in self.blocks)


def plan_reads(points: Sequence[Point], transport: Transport) -> ReadPlan:
    """Merge neighbouring points into reads of at most `max_regs` registers.

    A gap is read over only when the device allows it (`gap_readable`) and it is at most `max_gap`.
    """
    allowed_gap = transport.max_gap if transport.gap_readable else 0
    blocks: list[ReadBlock] = []
    owner: dict[str, int] = {}
    for point in sorted(points, key=lambda point: (point.fc, point.address)):
        merged = (
            _merged(blocks[-1], point, allowed_gap, transport.limit(point.fc)) if blocks else None
        )
        if merged is None:
            blocks.append(ReadBlock(point.fc, point.address, point.registers))
        else:
            blocks[-1] = merged
        owner[point.name] = len(blocks) - 1
    starts = [sum(block.count for block in blocks[:k]) for k in range(len(blocks))]
    positions = {
        point.name: starts[owner[point.name]] + point.address - blocks[owner[point.name]].address
        for point in points
    }
    return ReadPlan(tuple(blocks), positions)


def _merged(block: ReadBlock, point: Point, allowed_gap: int, max_regs: int) -> ReadBlock | None:
    end = max(block.address + block.count, point.address + point.registers)
    gap = point.address - (block.address + block.count)
    if block.fc != point.fc or gap > allowed_gap or end - block.address > max_regs:
        return None
    return ReadBlock(block.fc, block.address, end - block.address)
