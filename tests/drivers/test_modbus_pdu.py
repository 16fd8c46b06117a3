"""Requests and answers as pymodbus makes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.pdu import bit_message, register_message

from drivers.modbus_pdu import WriteBlock, answer_of, exception_of, request_pdu
from drivers.read_plan import ReadBlock

_READS = {
    1: bit_message.ReadCoilsRequest,
    2: bit_message.ReadDiscreteInputsRequest,
    3: register_message.ReadHoldingRegistersRequest,
    4: register_message.ReadInputRegistersRequest,
}


@pytest.mark.parametrize("function", _READS)
def test_a_read_is_the_one_of_pymodbus(function: int) -> None:
    """Function, address and count where an independent library puts them."""
    theirs = _READS[function](address=0x1234, count=7)
    assert request_pdu(ReadBlock(function, 0x1234, 7)) == bytes((function,)) + theirs.encode()


def test_writes_are_those_of_pymodbus() -> None:
    """Functions 6, 16, 22 and 23 as an independent library puts them."""
    single = register_message.WriteSingleRegisterRequest(address=9, registers=[0xABCD])
    assert request_pdu(WriteBlock(6, 9, b"\xab\xcd")) == b"\x06" + single.encode()
    several = register_message.WriteMultipleRegistersRequest(address=9, registers=[1, 2])
    assert request_pdu(WriteBlock(16, 9, b"\0\1\0\2")) == b"\x10" + several.encode()
    masked = register_message.MaskWriteRegisterRequest(address=9, and_mask=0xFF0F, or_mask=0x50)
    assert request_pdu(WriteBlock(22, 9, b"\0\x50", 0x00F0)) == b"\x16" + masked.encode()
    both = register_message.ReadWriteMultipleRegistersRequest(
        read_address=9, read_count=2, write_address=9, write_registers=[1, 2]
    )
    assert request_pdu(WriteBlock(23, 9, b"\0\1\0\2")) == b"\x17" + both.encode()


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_coils_arrive_as_registers(coils: list[bool]) -> None:
    """Each coil that pymodbus packs is a register of 0 or 1, in their order."""
    answer = bit_message.ReadCoilsResponse(bits=list(coils))
    request = ReadBlock(1, 0, len(coils))
    registers = answer_of(request, b"\x01" + answer.encode())
    assert registers == b"".join(bytes((0, coil)) for coil in coils)


@given(st.binary(max_size=12))
def test_whatever_comes_is_an_answer_of_the_right_length_or_none(pdu: bytes) -> None:
    """No bytes make a read of two registers give anything but four bytes."""
    answer = answer_of(ReadBlock(3, 0, 2), pdu)
    assert answer is None or (len(answer) == 4 and pdu[:2] == b"\x03\x04")
    error = exception_of(pdu, "here")
    assert error is None or error.exception_code == pdu[1]
