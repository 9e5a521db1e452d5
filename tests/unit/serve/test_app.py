"""The application as a whole: it starts, draws, says what is wrong, ends."""

from __future__ import annotations

from collections.abc import Iterator

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
