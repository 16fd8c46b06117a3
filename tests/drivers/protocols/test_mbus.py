"""M-Bus against pyMeterBus: its tables, its decoder, and as the master of our simulated meter."""

from __future__ import annotations

import itertools
import logging
import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import serial
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.engine import DeviceSpec, Engine
from drivers.errors import ProfileError, TargetError, TransportError
from drivers.profile import load_profile
from drivers.protocols.mbus import MBUS, HeaderField, MbusTransport
from drivers.protocols.mbus_record import (
    QUANTITY_UNITS,
    RecordKey,
    TelegramError,
    read_records,
)
from drivers.protocols.mbus_telegram import (
    frame_length,
    long_frame,
    manufacturer_letters,
    read_telegram,
    select_frame,
    short_frame,
)
from drivers.reading import Quality
from drivers.simulation import PseudoTerminal, SimulatedBehaviour
from drivers.simulation.byte_server import ByteTcpServer, PtyServer
from drivers.simulation.mbus_meter import MbusMeter
from drivers.simulation.point_values import PointValues


@pytest.fixture(scope="module")
def meterbus() -> Iterator[Any]:
    """pyMeterBus; its import sets the root logger up, which must not outlive the test."""
    before = logging.root.handlers[:], logging.root.level
    import meterbus as library

    yield library
    logging.root.handlers[:] = before[0]
    logging.root.setLevel(before[1])


# pyMeterBus' unit -> what one of it is in ours.
_IN_OUR_UNIT = {
    "Wh": 3600.0, "J": 1.0, "m^3": 1.0, "seconds": 1.0, "W": 1.0, "J/h": 1 / 3600.0, "m^3/h": 1.0,
    "m^3/min": 60.0, "m^3/s": 3600.0, "C": 1.0, "K": 1.0, "bar": 1.0, "V": 1.0, "A": 1.0,
}  # fmt: skip


def _value_information(meterbus: Any) -> list[tuple[bytes, float]]:
    """All plain codes of pyMeterBus' tables whose quantity we read, with the size of a step."""
    codes = []
    for code, (factor, unit, _) in meterbus.VIFTable.lut.items():
        name = getattr(unit, "value", None)
        if name in _IN_OUR_UNIT and code < 0x80:
            codes.append((bytes([code]), factor * _IN_OUR_UNIT[name]))
        if name in ("V", "A") and 0x140 <= code < 0x160:
            codes.append((bytes([0xFD, code - 0x100]), factor * _IN_OUR_UNIT[name]))
    return codes


def test_every_code_means_what_it_means_to_pymeterbus(meterbus: Any) -> None:
    """132 value codes of EN 13757-3 have the same unit and factor in an independent table."""
    codes = _value_information(meterbus)
    for code, step in codes:
        records, _ = read_records(b"\x02" + code + struct.pack("<h", 1234))
        assert records, code.hex()
        assert records[0].value == pytest.approx(1234 * step, rel=1e-12), code.hex()
    assert len(codes) == 132


_DATA = st.sampled_from([1, 2, 3, 4, 6, 7, 5, 9, 10, 11, 12, 14])
_SIZES = {1: 1, 2: 2, 3: 3, 4: 4, 6: 6, 7: 8, 5: 4, 9: 1, 10: 2, 11: 3, 12: 4, 14: 6}


@settings(max_examples=300, deadline=None)
@given(
    kind=_DATA,
    difes=st.lists(st.integers(0, 0x7F), max_size=4),
    function=st.integers(0, 3),
    storage=st.booleans(),
    data=st.data(),
)
def test_a_record_is_read_as_pymeterbus_reads_it(
    meterbus: Any, kind: int, difes: list[int], function: int, storage: bool, data: st.DataObject
) -> None:
    """Number, storage, tariff, subunit and function of random records agree."""
    size = _SIZES[kind]
    if kind in (9, 10, 11, 12, 14):
        digits = data.draw(st.text("0123456789", min_size=2 * size, max_size=2 * size))
        number = bytes.fromhex(digits)[::-1]
    elif kind == 5:
        number = struct.pack("<f", data.draw(st.floats(-1e6, 1e6, width=32)))
    else:
        lowest = -(1 << (8 * size - 1))
        number = data.draw(st.integers(lowest + 1, -lowest - 1)).to_bytes(
            size, "little", signed=True
        )
    dif = kind | function << 4 | storage << 6
    chain = [dif, *difes]
    chain = [byte | 0x80 for byte in chain[:-1]] + chain[-1:]
    user = bytes(chain) + b"\x2b" + number
    header = bytes.fromhex("78563412430401040000 0000".replace(" ", ""))
    frame = long_frame(0x08, 1, 0x72, header + user)
    theirs = meterbus.load(frame).records[0].interpreted
    [ours], more = read_records(read_telegram(frame, 1).records)
    assert not more
    assert ours.value == pytest.approx(float(theirs["value"]), rel=1e-6)
    assert (ours.key.quantity, ours.key.storage) == ("power", theirs["storage_number"])
    assert ours.key.tariff == (theirs.get("tariff") or 0)
    assert ours.key.subunit == (theirs.get("device") or 0)
    names = ["INSTANTANEOUS_VALUE", "MAXIMUM_VALUE", "MINIMUM_VALUE", "ERROR_STATE_VALUE"]
    assert theirs["function"] == f"FunctionType.{names[function]}"
    assert ours.key.function == ["instantaneous", "maximum", "minimum", "error"][function]


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ("0B 5A EE EE EE", "digits that are none"),
        ("04 2B 00 00 00 80", "the lowest integer"),
        ("05 2B 00 00 C0 7F", "NaN"),
        ("04 AB 15 01 00 00 00", "record error 15h, no data available"),
        ("0C 06 AB CD EF AB", "letters"),
    ],
)
def test_a_value_that_a_meter_does_not_have_is_none(record: str, why: str) -> None:
    """What the standard calls invalid is NaN, never 0 and never the number behind it."""
    [found], _ = read_records(bytes.fromhex(record))
    assert found.value != found.value, why


def test_a_negative_decimal_number() -> None:
    """An F before the digits is a minus sign: -0.2 K as an ULTRAHEAT T230 sent it."""
    [found], _ = read_records(bytes.fromhex("0B 62 02 00 F0"))
    assert found.value == pytest.approx(-0.2)


def test_when_a_maximum_was_is_no_temperature() -> None:
    """A record with another meaning (VIFE 6Fh, a time) is left out, a correction is applied."""
    records, _ = read_records(bytes.fromhex("94 10 DA 6F 32 14 7A 18  02 DB 74 F4 01"))
    assert [(record.key.quantity, record.value) for record in records] == [
        ("flow_temperature", pytest.approx(5.0))
    ]


@given(st.binary(max_size=60))
@settings(max_examples=500, deadline=None)
def test_no_bytes_break_the_decoder(data: bytes) -> None:
    """Whatever comes, it is records of known quantities or a TelegramError."""
    for take in (read_records, lambda d: read_telegram(long_frame(8, 1, 0x72, d[:200]), 1)):
        try:
            result = take(data)
        except TelegramError:
            continue
        if isinstance(result, tuple):
            assert all(record.key.quantity in QUANTITY_UNITS for record in result[0])
    try:
        length = frame_length(data)
    except TelegramError:
        return
    assert length is None or length >= 1


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda f: f[:-2] + bytes([f[-2] ^ 1]) + f[-1:], "checksum"),
        (lambda f: f[:-1] + b"\x00", "stop"),
        (lambda f: long_frame(0x53, 1, 0x72, f[7:-2]), "is no answer"),
        (lambda f: long_frame(0x08, 2, 0x72, f[7:-2]), "from address 2"),
        (lambda f: long_frame(0x08, 1, 0x73, f[7:-2]), "CI 73h"),
        (
            lambda f: long_frame(0x08, 1, 0x72, f[7:17] + b"\x00\x05" + f[19:-2]),
            "encrypted, mode 5",
        ),
        (lambda f: long_frame(0x08, 1, 0x72, f[7:16] + b"\x01" + f[17:-2]), "busy"),
    ],
)
def test_a_telegram_that_is_wrong_is_refused(spoil: Callable[[bytes], bytes], reason: str) -> None:
    """Damage, another meter's answer, encryption and a busy meter are told apart."""
    header = bytes.fromhex("785634122D2C08040000 0000".replace(" ", ""))
    frame = long_frame(0x08, 1, 0x72, header + bytes.fromhex("022B0100"))
    assert manufacturer_letters(read_telegram(frame, 1).header.manufacturer) == "KAM"  # type: ignore[union-attr]
    with pytest.raises(TelegramError, match=reason):
        read_telegram(spoil(frame), 1)


@pytest.fixture
def meter() -> PointValues:
    """A heat meter's values."""
    values = PointValues(load_profile("kamstrup.multical_601"))
    SimulatedBehaviour(values)
    return values


@pytest.fixture
def line(stack: ExitStack) -> Callable[..., str]:
    """Serves a conversation on a pty; gives the line's path."""

    def serve(conversation: Any) -> str:
        terminal = PseudoTerminal()
        stack.callback(terminal.close)
        server = PtyServer(conversation, terminal.master_fd)
        server.start()
        stack.callback(server.stop)
        return terminal.path

    return serve


def test_pymeterbus_reads_our_simulated_meter(
    meterbus: Any, meter: PointValues, line: Callable[..., str]
) -> None:
    """As a master on a serial line it resets, asks and decodes; by secondary address too."""
    simulated = MbusMeter(meter, primary=5)
    with serial.Serial(line(simulated), timeout=2.0) as port:
        meterbus.send_ping_frame(port, 5)
        assert isinstance(meterbus.load(meterbus.recv_frame(port, 1)), meterbus.TelegramACK)
        meterbus.send_request_frame(port, 5)
        telegram = meterbus.load(meterbus.recv_frame(port, meterbus.FRAME_DATA_LENGTH))
        found = {
            (
                record.interpreted["type"],
                record.interpreted["function"],
                record.dib.storage_number,
            ): (
                float(record.value),
                record.unit,
            )
            for record in telegram.records
        }
        plain = "FunctionType.INSTANTANEOUS_VALUE"
        # In kWh, of which our value is whole: 1.3446e11 J are 37350.
        assert found["VIFUnit.ENERGY_WH", plain, 0] == (37_350_000.0, "Wh")
        assert found["VIFUnit.FLOW_TEMPERATURE", plain, 0] == (pytest.approx(71.69), "C")
        assert found["VIFUnit.POWER_W", "FunctionType.MAXIMUM_VALUE", 0] == (44_800.0, "W")
        assert found["VIFUnit.ENERGY_WH", plain, 1] == (33_361_000.0, "Wh")
        assert telegram.body.bodyHeader.manufacturer_field.decodeManufacturer == "KAM"
        meterbus.send_select_frame(port, f"{simulated.secondary:016X}")
        assert isinstance(meterbus.load(meterbus.recv_frame(port, 1)), meterbus.TelegramACK)
        meterbus.send_request_frame(port, 0xFD)
        assert meterbus.load(meterbus.recv_frame(port, meterbus.FRAME_DATA_LENGTH)).records


def test_our_frames_are_pymeterbus_frames(meterbus: Any) -> None:
    """Reset, request and selection are byte for byte those of an independent master."""

    class Port:
        def __init__(self) -> None:
            self.sent = b""

        def write(self, data: bytes) -> None:
            self.sent = bytes(data)

    port = Port()
    meterbus.send_ping_frame(port, 7)
    assert port.sent == short_frame(0x40, 7)
    meterbus.send_request_frame(port, 7)
    assert port.sent == short_frame(0x5B, 7)
    meterbus.send_select_frame(port, "178558062D2C0804")
    # pyMeterBus selects with the frame count bit set.
    ours = select_frame(0x178558062D2C0804)
    assert port.sent[5:-2] == ours[5:-2]
    assert port.sent[4] & ~0x20 == ours[4] & ~0x20


def test_the_engine_reads_meters_of_one_line_by_either_address(
    meter: PointValues,
    line: Callable[..., str],
    run_engine: Callable[..., Engine],
    wait_until: Callable[[Callable[[], bool], float], float],
) -> None:
    """Three meters on one pty: two by primary, one by secondary address with digits left open."""
    other = PointValues(load_profile("en13757.water_meter"))
    SimulatedBehaviour(other)
    third = PointValues(load_profile("landisgyr.ultraheat_t230"))
    SimulatedBehaviour(third)
    t230 = MbusMeter(third, 3, records=3, identification=0x66660205)
    members = [MbusMeter(meter, 1), MbusMeter(other, 2), t230]

    class Line:
        def hear(self, data: bytes) -> bytes:
            return b"".join(member.hear(data) for member in members)

        def speak(self) -> bytes:
            return b""

    path = line(Line())
    secondary = f"{t230.secondary:016X}"[:8] + "FFFFFFFF"
    engine = run_engine(
        DeviceSpec("heat", "kamstrup.multical_601", f"mbus+serial://{path}?address=1"),
        DeviceSpec("water", "en13757.water_meter", f"mbus+serial://{path}?address=2"),
        DeviceSpec(
            "t230", "landisgyr.ultraheat_t230", f"mbus+serial://{path}?secondary={secondary}"
        ),
    )
    for device, values in (("heat", meter), ("water", other), ("t230", third)):
        wait_until(
            lambda d=device: {r.quality for r in engine.readings(d).values()} == {Quality.OK}, 10.0
        )
        for point, reading in engine.readings(device).items():
            assert reading.value == pytest.approx(values.get(point), rel=1e-3), point


def test_an_answer_of_several_telegrams_is_read_whole(meter: PointValues) -> None:
    """Two records a telegram: the frame count bit toggles until no more follow."""
    asked: list[int] = []
    simulated = MbusMeter(meter, 1, records=2)

    class Line:
        said = b""

        def open(self) -> None: ...

        def close(self) -> None: ...

        def drain(self, *, patient: bool) -> None: ...

        def write(self, data: bytes) -> None:
            asked.append(data[1])
            self.said = simulated.hear(data)

        def read(self, _timeout_s: float) -> bytes:
            said, self.said = self.said[:7], self.said[7:]
            return said

    transport = MbusTransport(Line(), "meter", 2400)
    keys = (RecordKey("energy"), RecordKey("on_time"), RecordKey("energy", storage=1))
    numbers = transport.read(1, (*keys, HeaderField("medium"), RecordKey("pressure")), 1.0)
    assert numbers[:4] == [37350 * 3.6e6, 985 * 3600.0, 33361 * 3.6e6, 4.0]
    assert numbers[4] != numbers[4]
    assert asked[0] == 0x40
    assert asked[1:] == list(itertools.islice(itertools.cycle([0x7B, 0x5B]), 6))


def test_a_meter_that_never_ends_does_not_hold_the_bus() -> None:
    """More follows for ever: refused after 16 telegrams."""
    header = bytes(12)
    frame = long_frame(0x08, 1, 0x72, header + b"\x1f")
    replies = iter([b"\xe5", *[frame] * 100])

    class Line:
        def open(self) -> None: ...

        def close(self) -> None: ...

        def drain(self, *, patient: bool) -> None: ...

        def write(self, data: bytes) -> None: ...

        def read(self, _timeout_s: float) -> bytes:
            return next(replies)

    with pytest.raises(TransportError, match="more than 16 telegrams"):
        MbusTransport(Line(), "meter", 2400).read(1, (RecordKey("energy"),), 1.0)


def test_half_an_answer_is_not_taken_for_the_next(
    meter: PointValues, line: Callable[..., str]
) -> None:
    """A meter that stops in the middle is an error in time, and the rest is drained."""
    answers = itertools.count()
    simulated = MbusMeter(meter, 1)

    class Stutter:
        late = b""
        due = 0.0

        def hear(self, data: bytes) -> bytes:
            said = simulated.hear(data)
            if len(said) > 20 and next(answers) == 0:
                self.late, self.due = said[20:], time.monotonic() + 1.6
                return said[:20]
            return said

        def speak(self) -> bytes:
            if self.late and time.monotonic() > self.due:
                late, self.late = self.late, b""
                return late
            return b""

    target = MBUS.parse_target(f"mbus+serial://{line(Stutter())}?address=1")
    transport = MBUS.transport(target, load_profile("kamstrup.multical_601").transport)
    request = (RecordKey("volume"),)
    with pytest.raises(TransportError, match=r"half an answer \(20 bytes\)"):
        transport.read(1, request, 0.2)
    time.sleep(0.6)
    assert transport.read(1, request, 0.5) == [pytest.approx(561.08)]
    transport.close()


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("mbus+tcp://host", "is not mbus"),
        ("mbus+tcp://host:99999", "is not mbus"),
        ("mbus+tcp://host:1?address=251", "address '251' is not a number from 0 to 250"),
        ("mbus+tcp://host:1?secondary=123", "is not 16 hex digits"),
        ("mbus+tcp://host:1?secondary=1234567812345678&address=1", "both address and secondary"),
        ("mbus+tcp://host:1?baud=2400", "is not mbus"),
        ("mbus+serial://dev/tty", "is not mbus"),
        ("mbus+serial:///dev/tty?parity=E", "unknown option 'parity'"),
        ("mbus+serial:///dev/tty?framing=9X1", "framing '9X1' is none of"),
        ("tcp://host:1", "is not mbus"),
    ],
)
def test_a_target_that_is_wrong_is_named(target: str, reason: str) -> None:
    """Each fault of a target is told with what is wrong."""
    with pytest.raises(TargetError, match=reason):
        MBUS.parse_target(target)


def test_a_unit_that_is_not_the_quantitys_is_refused(tmp_path: Any) -> None:
    """Energy comes in J from this protocol: a profile that says kWh would be off by 3.6 million."""
    text = load_profile("en13757.water_meter").path.read_text()
    path = tmp_path / "meter.yaml"
    path.write_text(text.replace("unit: m3/h", "unit: L/h"))
    with pytest.raises(ProfileError, match=r"points/flow.volume/unit: this quantity comes in m3/h"):
        Engine([DeviceSpec("d", str(path), "mbus+tcp://127.0.0.1:1")])


def test_a_gateway_that_hangs_up_is_a_loss_and_comes_back(
    meter: PointValues,
    stack: ExitStack,
    run_engine: Callable[..., Engine],
    wait_until: Callable[[Callable[[], bool], float], float],
) -> None:
    """comm-error while the gateway is away, ok again after it listens anew."""
    server = ByteTcpServer(lambda: MbusMeter(meter))
    server.start()
    stack.callback(server.stop)
    target = f"mbus+tcp://127.0.0.1:{server.port}?address=1"
    engine = run_engine(DeviceSpec("d", "kamstrup.multical_601", target))
    wait_until(lambda: engine.reading("d", "volume").quality is Quality.OK, 5.0)
    server.stop()
    wait_until(lambda: engine.reading("d", "volume").quality is Quality.COMM_ERROR, 3.0)
    server.start()
    wait_until(lambda: engine.reading("d", "volume").quality is Quality.OK, 10.0)


def test_the_descriptor_of_a_closed_line_is_free(meter: PointValues, stack: ExitStack) -> None:
    """A transport that is closed leaves no descriptor behind."""
    server = ByteTcpServer(lambda: MbusMeter(meter))
    server.start()
    stack.callback(server.stop)
    target = MBUS.parse_target(f"mbus+tcp://127.0.0.1:{server.port}?address=1")
    settings_ = load_profile("kamstrup.multical_601").transport
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    transport = MBUS.transport(target, settings_)
    transport.read(1, (RecordKey("volume"),), 1.0)
    transport.close()
    wait = time.monotonic() + 2.0
    while len(os.listdir("/proc/self/fd")) > before and time.monotonic() < wait:  # noqa: PTH208
        time.sleep(0.01)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
