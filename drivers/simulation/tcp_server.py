"""Simulated devices behind one Modbus TCP port, on pyModbusTCP's server."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from typing import Any

from pyModbusTCP.server import DataBank, DataHandler, DeviceIdentification, ModbusServer

from drivers.errors import TransportError
from drivers.simulation.device import (
    PRODUCT_CODE,
    REVISION,
    VENDOR_NAME,
    RefusedRequestError,
    SimulatedDevice,
)

# A gateway's answer for a unit that nobody has: Modbus Application Protocol V1.1b3, chapter 7.
_GATEWAY_TARGET_FAILED = 0x0B
_MBAP_BYTES = 7
# How long a server's loop may sleep before it sees that it is asked to stop.
_STOP_WITHIN_S = 0.1


class ModbusTcpServer:
    """Serves devices by unit id, as a gateway would; `port` 0 takes a free one at the first start.

    `stop` closes the clients' sockets too; a later `start` binds the same port again.
    """

    def __init__(
        self, devices: Mapping[int, SimulatedDevice], host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.devices = dict(devices)
        self.host = host
        self.port = port
        self._server: _Server | None = None

    def start(self) -> None:
        """Bind and serve from threads; TransportError when the address cannot be bound."""
        if self._server is not None:
            raise ValueError("the server is already running")
        server = _Server(self.devices, self.host, self.port)
        self.port = server.serve()
        self._server = server

    def stop(self) -> None:
        """Stop listening and drop every client; does nothing when it is not running."""
        if self._server is not None:
            self._server.shut_down()
            self._server = None


class _Server(ModbusServer):  # type: ignore[misc]  # pyModbusTCP ships no types
    """pyModbusTCP's server with a device per unit id, silence, and clients that can be dropped."""

    def __init__(self, devices: Mapping[int, SimulatedDevice], host: str, port: int) -> None:
        super().__init__(
            host=host,
            port=port,
            no_block=True,
            data_hdl=_Registers(devices),
            device_id=DeviceIdentification(VENDOR_NAME, PRODUCT_CODE, REVISION),
        )
        clients: set[socket.socket] = set()
        clients_lock = threading.Lock()

        class Service(ModbusServer.ModbusService):  # type: ignore[misc]  # as above
            def setup(self) -> None:
                super().setup()
                self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with clients_lock:
                    clients.add(self.request)

            def finish(self) -> None:
                with clients_lock:
                    clients.discard(self.request)

            def _send_all(self, data: bytes) -> bool:
                # A header without a request's answer is how the engine below says: stay silent.
                return len(data) <= _MBAP_BYTES or bool(super()._send_all(data))

        self.ModbusService = Service
        self._devices = devices
        self._clients = clients
        self._clients_lock = clients_lock

    def serve(self) -> int:
        """Start, wait until it runs, and say which port it got."""
        try:
            self.start()
        except ModbusServer.NetworkError as error:
            self._service.server_close()
            raise TransportError(f"{self.host}:{self.port} cannot be served: {error}") from error
        while not self.is_run:
            time.sleep(0.001)
        return int(self._service.server_address[1])

    def shut_down(self) -> None:
        """Stop accepting first: a dropped client must not get in again."""
        self.stop()
        with self._clients_lock:
            for client in self._clients:
                _drop(client)

    def _serve(self) -> None:
        self._evt_running.set()
        try:
            self._service.serve_forever(poll_interval=_STOP_WITHIN_S)
        finally:
            self._evt_running.clear()

    def _internal_engine(self, session_data: Any) -> None:
        device = self._devices.get(session_data.request.mbap.unit_id)
        if device is not None and device.delay_s:
            time.sleep(device.delay_s)
        if device is not None and not device.hears():
            return
        super()._internal_engine(session_data)


def _drop(client: socket.socket) -> None:
    try:
        client.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # it is gone already


class _Registers(DataHandler):  # type: ignore[misc]  # pyModbusTCP ships no types
    """Routes pyModbusTCP's register requests to the device of the asked unit."""

    def __init__(self, devices: Mapping[int, SimulatedDevice]) -> None:
        # The default bank would keep 262144 values that nobody asks for.
        super().__init__(DataBank(virtual_mode=True))
        self._devices = devices

    def read_coils(self, address: int, count: int, srv_info: Any) -> Any:
        """Function 1."""
        return self._read(1, address, count, srv_info)

    def read_d_inputs(self, address: int, count: int, srv_info: Any) -> Any:
        """Function 2."""
        return self._read(2, address, count, srv_info)

    def read_h_regs(self, address: int, count: int, srv_info: Any) -> Any:
        """Function 3."""
        return self._read(3, address, count, srv_info)

    def read_i_regs(self, address: int, count: int, srv_info: Any) -> Any:
        """Function 4."""
        return self._read(4, address, count, srv_info)

    def write_h_regs(self, address: int, words_l: list[int], srv_info: Any) -> Any:
        """Functions 6 and 16."""
        try:
            self._device(srv_info).write_registers(address, words_l)
        except RefusedRequestError as fault:
            return DataHandler.Return(exp_code=fault.code)
        return DataHandler.Return(exp_code=0)

    def _read(self, fc: int, address: int, count: int, srv_info: Any) -> Any:
        try:
            registers = self._device(srv_info).read_registers(fc, address, count)
        except RefusedRequestError as fault:
            return DataHandler.Return(exp_code=fault.code)
        return DataHandler.Return(exp_code=0, data=registers)

    def _device(self, srv_info: Any) -> SimulatedDevice:
        device = self._devices.get(srv_info.recv_frame.mbap.unit_id)
        if device is None:
            raise RefusedRequestError(_GATEWAY_TARGET_FAILED)
        return device
