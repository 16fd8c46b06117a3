"""Simulated devices: a profile turned round, served over Modbus TCP or RTU."""

from drivers.simulation.behaviour import SimulatedBehaviour
from drivers.simulation.device import RefusedRequestError, SimulatedDevice
from drivers.simulation.faults import (
    FAULTS,
    REGISTER_FAULTS,
    Disturbance,
    Fault,
    apply_to_device,
    parse_fault,
)
from drivers.simulation.rtu_server import ModbusRtuServer, PseudoTerminal, answer_pdu
from drivers.simulation.tcp_server import ModbusTcpServer

__all__ = [
    "FAULTS",
    "REGISTER_FAULTS",
    "Disturbance",
    "Fault",
    "ModbusRtuServer",
    "ModbusTcpServer",
    "PseudoTerminal",
    "RefusedRequestError",
    "SimulatedBehaviour",
    "SimulatedDevice",
    "answer_pdu",
    "apply_to_device",
    "parse_fault",
]
