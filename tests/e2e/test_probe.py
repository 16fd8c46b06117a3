"""`dcpi-bmc probe` as a container's health check runs it."""

from __future__ import annotations

import socket
import subprocess

from e2e.emulator_client import COMMAND, Running


def _probe(*words: object) -> tuple[int, str, str]:
    result = subprocess.run(
        [COMMAND, "probe", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return result.returncode, result.stdout, result.stderr


def test_a_service_that_measures_is_ready(bmc: Running) -> None:
    """Without a login, with the lab's authority or with any certificate: status 0."""
    url = f"https://127.0.0.1:{bmc.port}"
    authority = bmc.state_dir / "tls" / "lab-ca.pem"
    assert _probe(url, "--ca", authority) == (0, f"{url} is ready\n", "")
    assert _probe(url, "--live", "--insecure") == (0, f"{url} is live\n", "")


def test_of_several_each_is_told_and_one_that_fails_counts(bmc: Running) -> None:
    """A port where nobody listens makes the status 1; the other is told all the same."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    urls = [f"https://127.0.0.1:{bmc.port}", f"https://127.0.0.1:{port}"]
    status, said, _ = _probe(*urls, "--insecure")
    assert status == 1
    assert said.splitlines() == [
        f"{urls[0]} is ready",
        f"{urls[1]} does not answer: Connection refused",
    ]


def test_a_service_that_hangs_is_told_in_time() -> None:
    """One that takes the connection and says nothing is waited for no longer than told."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        status, said, _ = _probe(url, "--insecure", "--timeout", 0.2)
    assert status == 1
    assert said.startswith(f"{url} does not answer: ")


def test_an_unknown_certificate_is_not_trusted(bmc: Running) -> None:
    """It says what to give."""
    status, said, _ = _probe(f"https://127.0.0.1:{bmc.port}")
    assert status == 1
    assert "is not trusted" in said
    assert "give --ca FILE" in said


def test_bad_usage_is_status_2(bmc: Running) -> None:
    """No URL, one without TLS, endless waits, and options that exclude each other."""
    url = f"https://127.0.0.1:{bmc.port}"
    assert _probe()[0] == 2
    assert _probe("http://127.0.0.1:1")[0] == 2
    for words in (("https://[::1",), (url, "--timeout", "nan"), (url, "--timeout", "inf")):
        status, _, said = _probe(*words)
        assert (status, "Traceback" in said) == (2, False), words
    assert _probe(url, "--insecure", "--ca", bmc.state_dir / "tls" / "lab-ca.pem")[0] == 2
