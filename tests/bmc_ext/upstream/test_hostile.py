"""A BMC that is down, slow, broken or somebody else: its subtree says so, nothing else suffers."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from acme_mockup import is_known, write_tree
from mockup_bmc import Handler, MockupBmc, mockup_bmc
from served_front import Served, served, wait_for
from upstream_bmcs import certificate, sidecar_config

FABRICS = "/redfish/v1/Fabrics"
OURS = (
    "/redfish/v1/",
    "/redfish/v1/Chassis",
    "/redfish/v1/Managers",
    "/redfish/v1/Systems",
    "/redfish/v1/$metadata",
    "/redfish/v1/Chassis/DCPI",
    "/redfish/v1/Chassis/DCPI/Sensors?$expand=.",
    "/redfish/v1/JsonSchemas",
)


@pytest.fixture(scope="module")
def bmc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MockupBmc]:
    """A BMC that can misbehave."""
    folder = tmp_path_factory.mktemp("bmc")
    write_tree(folder)
    with mockup_bmc(folder) as server:
        yield server


@pytest.fixture(scope="module")
def sidecar(bmc: MockupBmc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The sidecar in front of it."""
    folder = tmp_path_factory.mktemp("sidecar")
    with served(folder, config=sidecar_config(folder, bmc.url, ca=bmc.ca)) as front:
        yield front


@pytest.fixture
def front(sidecar: Served, bmc: MockupBmc) -> Iterator[Served]:
    """It, while the BMC behaves, and again afterwards."""
    wait_for(lambda: sidecar.ask("GET", FABRICS).status == 200, 30, "the BMC answers")
    yield sidecar
    bmc.instead = lambda _: False


def _reset(handler: Handler) -> bool:
    handler.connection.shutdown(socket.SHUT_RDWR)
    return True


def _truncated(handler: Handler) -> bool:
    handler.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{"a":')
    handler.connection.shutdown(socket.SHUT_RDWR)
    return True


def _dripping_header(handler: Handler) -> bool:
    with contextlib.suppress(OSError):
        for _ in range(200):
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-A: b"[:1])
            time.sleep(0.2)
    return True


def _dripping_body(handler: Handler) -> bool:
    with contextlib.suppress(OSError):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
        for _ in range(200):
            handler.wfile.write(b"{")
            time.sleep(0.2)
    return True


def _huge(handler: Handler) -> bool:
    with contextlib.suppress(OSError):
        handler.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"a":"')
        for _ in range(200):
            handler.wfile.write(b"x" * 100_000)
    handler.close_connection = True
    return True


def _says(**answer: object) -> Callable[[Handler], bool]:
    def say(handler: Handler) -> bool:
        handler.say(**answer)  # type: ignore[arg-type]
        return True

    return say


DEEP = b'{"a":' * 900 + b"1" + b"}" * 900
GARBAGE: dict[str, Callable[[Handler], bool]] = {
    "reset": _reset,
    "truncated": _truncated,
    "huge": _huge,
    "dripping header": _dripping_header,
    "dripping body": _dripping_body,
    "no JSON": _says(status=200, data=b"{", Content_Type="application/json"),
    "an array": _says(status=200, body=[1]),
    "deep": _says(
        status=200, data=b'{"a":' * 900 + b"1" + b"}" * 900, Content_Type="application/json"
    ),
    "a web page": _says(status=200, data=b"<html>", Content_Type="text/html"),
    "a redirect": _says(status=302, Location="https://198.51.100.7/redfish/v1/"),
    "a gateway's error": _says(status=502, data=b"<html>", Content_Type="text/html"),
    "compressed": _says(status=200, data=b"\x1f\x8b", Content_Encoding="gzip"),
    "not HTTP": lambda handler: bool(handler.wfile.write(b"SSH-2.0\r\n\r\n")),
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_is_503_with_retry_after_and_is_over_with_it(
    front: Served, bmc: MockupBmc, kind: str
) -> None:
    """Whatever one resource answers, the client gets a Redfish error in bounded time."""

    def instead(handler: Handler) -> bool:
        return handler.path == FABRICS and GARBAGE[kind](handler)

    bmc.instead = instead
    answer = front.ask("GET", FABRICS)
    assert answer.status == 503, answer
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.body["error"]["code"] == "Base.1.19.ServiceTemporarilyUnavailable"
    for path in OURS:
        assert front.ask("GET", path).status == 200, path
    bmc.instead = lambda _: False
    wait_for(lambda: front.ask("GET", FABRICS).status == 200, 20, "it is over")


def test_a_collection_that_is_broken_takes_nothing_else_down(front: Served, bmc: MockupBmc) -> None:
    """What the looks find there is nothing; the BMC goes on to be asked."""

    def instead(handler: Handler) -> bool:
        return handler.path == "/redfish/v1/Registries" and GARBAGE["no JSON"](handler)

    names = "/redfish/v1/Registries"
    assert "Acme" in str(front.ask("GET", names).body["Members"])
    bmc.instead = instead
    wait_for(lambda: "Acme" not in str(front.ask("GET", names).body["Members"]), 30, "seen")
    assert front.ask("GET", FABRICS).status == 200
    assert front.ask("GET", "/redfish/v1/Registries/Acme").status == 200


def test_a_hanging_bmc_keeps_nobody_else_waiting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """While more requests than there are threads hang on the BMC, all others are answered."""
    free = threading.Event()
    answers: list[int] = []
    write_tree(tmp_path / "bmc")
    with (
        mockup_bmc(tmp_path / "bmc") as bmc,
        served(
            tmp_path / "s",
            config=sidecar_config(tmp_path / "s", bmc.url, ca=bmc.ca, timeout_s=120.0),
        ) as front,
    ):
        wait_for(lambda: is_known(front), 20, "known")

        def hang(handler: Handler) -> bool:
            free.wait(100)
            return False

        bmc.instead = hang
        # `ask` gives up after 10 s, the sidecar would wait for 120 s: none of these is answered.
        waiting = [
            threading.Thread(target=lambda: answers.append(_status(front, FABRICS)))
            for _ in range(20)
        ]
        for thread in waiting:
            thread.start()
        try:
            for path in OURS:
                assert front.ask("GET", path).status == 200, path
            # The look at the BMC gives up sooner: from then on its subtree is refused at once.
            wait_for(lambda: _told(caplog, "not available"), 60, "it is down")
            assert front.ask("GET", FABRICS).status == 503
            assert front.ask("GET", "/redfish/v1/Systems?$expand=.").status == 200
        finally:
            bmc.instead = lambda _: False
            free.set()
            for thread in waiting:
                thread.join(30)
        wait_for(lambda: _status(front, FABRICS) == 200, 20, "it recovers by itself")
    assert _told(caplog, "not available") == 1
    assert _told(caplog, "answers") == 2


def _told(caplog: pytest.LogCaptureFixture, text: str) -> int:
    """How often the log says that of the BMC."""
    said = [record.message for record in caplog.records if "upstream BMC" in record.message]
    return len([message for message in said if text in message])


def _status(front: Served, path: str) -> int:
    """The status of a GET; 0 where none comes in time."""
    try:
        return front.ask("GET", path).status
    except TimeoutError:
        return 0


def test_a_bmc_that_comes_and_goes(tmp_path: Path) -> None:
    """Down at our start: our own answers, no Systems; then it is there, gone, and there again."""
    write_tree(tmp_path / "bmc")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    *_, authority = certificate(tmp_path / "bmc" / "tls")
    config = sidecar_config(tmp_path / "s", f"https://127.0.0.1:{port}", ca=authority)
    with served(tmp_path / "s", config=config) as front:
        assert "Systems" not in front.ask("GET", "/redfish/v1/").body
        assert front.ask("GET", "/redfish/v1/Systems").status == 503
        assert front.ask("GET", "/redfish/v1/Systems/1").status == 503
        assert front.ask("GET", "/redfish/v1/Chassis").body["Members@odata.count"] == 1
        for _ in range(2):
            with mockup_bmc(tmp_path / "bmc", port):
                wait_for(lambda: front.ask("GET", FABRICS).status == 200, 20, "there")
                assert is_known(front)
            wait_for(lambda: front.ask("GET", FABRICS).status == 503, 20, "gone")
            wait_for(lambda: "refused" in str(front.ask("GET", FABRICS).body), 20, "why it is gone")
            assert front.ask("GET", "/redfish/v1/Chassis").body["Members@odata.count"] == 3


@pytest.mark.parametrize("fault", ["another authority", "another pin", "another name", "expired"])
def test_who_does_not_prove_itself_is_told_nothing(tmp_path: Path, fault: str) -> None:
    """With a wrong certificate the BMC gets no request, thus no password either."""
    write_tree(tmp_path / "bmc")
    *_, other = certificate(tmp_path / "other")
    with mockup_bmc(tmp_path / "bmc") as bmc:
        trust: dict[str, object] = {"ca": bmc.ca}
        url = bmc.url
        if fault == "another authority":
            trust = {"ca": other}
        elif fault == "another pin":
            trust = {"pinned_sha256": "ab" * 32}
        elif fault == "another name":
            url = f"https://127.0.0.2:{bmc.port}"
        else:
            trust = {"ca": bmc.expire_certificate()}
        with served(tmp_path / "s", config=sidecar_config(tmp_path / "s", url, **trust)) as front:
            wait_for(lambda: "not answered yet" not in _reason(front), 20, "it was tried")
            assert front.ask("GET", FABRICS).status == 503
            assert front.ask("GET", "/redfish/v1/Chassis/DCPI").status == 200
        assert bmc.seen == []


def _reason(front: Served) -> str:
    return str(front.ask("GET", FABRICS).body["error"]["message"])


def test_a_pin_is_that_certificate_and_no_other(tmp_path: Path) -> None:
    """The pinned certificate is taken without any authority."""
    write_tree(tmp_path / "bmc")
    with (
        mockup_bmc(tmp_path / "bmc") as bmc,
        served(
            tmp_path / "s", config=sidecar_config(tmp_path / "s", bmc.url, pinned_sha256=bmc.pin)
        ) as front,
    ):
        wait_for(lambda: is_known(front), 20, "known")


def test_stopping_does_not_wait_for_a_hanging_bmc(tmp_path: Path) -> None:
    """A BMC that accepts and says nothing ends with its time-out."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        *_, authority = certificate(tmp_path / "tls")
        config = sidecar_config(tmp_path / "s", url, ca=authority)
        with served(tmp_path / "s", config=config) as front:
            assert front.ask("GET", "/redfish/v1/").status == 200
            began_s = time.monotonic()
        assert time.monotonic() - began_s < 15
