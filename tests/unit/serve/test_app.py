"""The application as a whole: it starts, draws, says what is wrong, ends."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.serving import Served, live


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with live(tmp_path_factory.mktemp("home")) as server:
        yield server


def test_it_is_alive_and_ready(server: Served) -> None:
    assert server.client.get("/livez").json() == {"live": True}
    assert server.client.get("/readyz").json()["ready"] is True


def test_the_stand_in_draws_into_the_real_library(server: Served) -> None:
    job = server.wait(server.draw("a red fox", n=2, seed=7).id)
    assert job.state == "done"
    entries = [server.service.session.library.get(each) for each in job.made]
    assert [each.seed for each in entries] == [7, 8]
    assert all(each.path.is_file() and each.record is not None for each in entries)


@pytest.mark.parametrize(
    ("word", "code"), [("zzfail", "generation"), ("zzoom", "out_of_memory"), ("zzrefuse", "moderation_blocked")]
)
def test_the_stand_in_fails_as_it_is_told(server: Served, word: str, code: str) -> None:
    job = server.wait(server.draw(f"a red fox {word}").id)
    assert job.state == "failed"
    assert job.error is not None
    assert job.error.code == code


def test_a_path_that_is_none_is_said_in_the_native_shape(server: Served) -> None:
    answer = server.client.get("/nothing/here")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"
    assert answer.headers["x-should-retry"] == "false"


def test_a_sender_who_goes_away_is_no_fault_of_ours(server: Served, caplog: pytest.LogCaptureFixture) -> None:
    """A page that asks for the cost and is left at once, half of its question on the way."""
    host = httpx.URL(server.url)
    begun = f"POST /ui/cost HTTP/1.1\r\nHost: {host.netloc.decode()}\r\nContent-Length: 900\r\n"
    with caplog.at_level(logging.INFO, "limner.serve"):
        with socket.create_connection((host.host, host.port or 80)) as left:
            left.sendall(f"{begun}Content-Type: application/x-www-form-urlencoded\r\n\r\nprompt=a".encode())
            time.sleep(0.3)
        _until(lambda: any(getattr(each, "path", "") == "/ui/cost" for each in caplog.records))
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING] == []
    assert server.client.get("/livez").json() == {"live": True}


def _until(held: Callable[[], bool]) -> None:
    for _ in range(100):
        if held():
            return
        time.sleep(0.05)
    raise AssertionError("not within five seconds")
