"""What keeps a stream of sampled values from being heard, each by its name."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time

import pytest
from veth import Wire

from bmc_ext.sampling.sampled_values_source import SampledValuesSource
from drivers.errors import TransportError
from drivers.waveforms.captured_frames import NO_VLAN, SPAN
from drivers.waveforms.sampled_values import SampledValues
from drivers.waveforms.sampled_values_socket import SampledValuesSocket

STRANGER = """
import os
from drivers.errors import TransportError
from drivers.waveforms.sampled_values_socket import SampledValuesSocket
os.setgid(65534); os.setuid(65534)
try:
    SampledValuesSocket("lo").open()
except TransportError as error:
    print(error)
"""


def read_on(source: SampledValuesSource) -> None:
    """Read for ever."""
    while True:
        source.read(0.2)


def refusal(wire: Wire, wanted: SampledValues, **unit: object) -> str:
    """Why a source does not open while this unit publishes."""
    source = SampledValuesSource(SampledValuesSocket(wire.near), wanted)
    with wire.publish(seconds=2.0, **unit) as publisher:
        assert publisher.stdout is not None
        start_ns = int(publisher.stdout.readline())
        time.sleep(max(0.0, (start_ns - time.time_ns()) * 1e-9 - 0.2))
        try:
            with pytest.raises(TransportError) as refused:
                source.open()
        finally:
            source.close()
            publisher.kill()
    return str(refused.value)


@pytest.mark.parametrize(
    ("wanted", "unit", "reason"),
    [
        (SampledValues(stream="MU9"), {}, "'MU01' (APPID 0x4000, 02:00:00:00:00:01 to 01:0c"),
        (SampledValues(rate_hz=4800), {}, "samples/s come, not 4800"),
        (SampledValues(), {"simulated": True}, "only simulated frames; accept: [simulated]"),
        (SampledValues(channels={"VA": "9", "IA": "1"}), {}, "no analog channel '9'"),
        (SampledValues(), {"channels": 6, "garbage": True}, "several streams, choose one"),
    ],
    ids=["other", "rate", "simulated", "channel", "several"],
)
def test_what_is_wrong_with_a_stream_is_said(
    wire: Wire, wanted: SampledValues, unit: dict[str, object], reason: str
) -> None:
    """The error names the stream that is wanted, and what is on the wire instead."""
    assert reason in refusal(wire, wanted, **unit)


def test_interfaces_and_privileges_are_named() -> None:
    """No such interface, and no CAP_NET_RAW: one clear error each."""
    with pytest.raises(TransportError, match=r"^nosuch0: No such device$"):
        SampledValuesSocket("nosuch0").open()
    done = subprocess.run(
        [sys.executable, "-c", STRANGER], capture_output=True, text=True, check=False
    )
    if os.geteuid() != 0:
        pytest.skip("only root can give up CAP_NET_RAW")
    assert "lo: receiving sampled values needs CAP_NET_RAW" in done.stdout, done.stderr


def test_a_silent_or_a_fallen_wire_is_a_lost_source(wire: Wire) -> None:
    """A stream that ends is lost after a second; an interface that goes down, at once."""
    source = SampledValuesSource(SampledValuesSocket(wire.near), SampledValues())
    with wire.publish(seconds=0.7) as publisher:
        assert publisher.stdout is not None
        start_ns = int(publisher.stdout.readline())
        time.sleep(max(0.0, (start_ns - time.time_ns()) * 1e-9 - 0.2))
        source.open()
        with pytest.raises(TransportError, match=r"silent for 1 s$"):
            read_on(source)
    lag_s = time.time_ns() * 1e-9 - (start_ns * 1e-9 + 0.7)
    assert 0.9 < lag_s < 3.0
    source.close()
    frames = SampledValuesSocket(wire.near)
    frames.open()
    subprocess.run(["ip", "link", "set", wire.near, "down"], check=True)
    try:
        with pytest.raises(TransportError, match="Network is down"):
            frames.read(2.0)
    finally:
        frames.close()
        subprocess.run(["ip", "link", "set", wire.near, "up"], check=True)


def test_the_kernel_tells_what_it_dropped(wire: Wire) -> None:
    """A reader that stands still for more than the ring holds knows how many frames it missed."""
    frames = SampledValuesSocket(wire.near, appid=0x4000)
    frames.open()
    with wire.sending() as send:
        for number in range(12_000):
            send(wire.frame(number))
        send(wire.frame(0, appid=0x4001))
        got = 0
        while (batch := frames.read(0.05)) is not None:
            got += batch.count
            received_ns, offset, size, vlan, _ = SPAN.unpack_from(batch.spans)
            assert math.isclose(received_ns, time.time_ns(), abs_tol=30e9)
            assert bytes(batch.memory[offset : offset + 6]).hex() == "010ccd040001"
            assert (size, vlan) == (len(wire.frame(0)), NO_VLAN)
    frames.close()
    assert frames.dropped > 0
    assert got + frames.dropped == 12_000
