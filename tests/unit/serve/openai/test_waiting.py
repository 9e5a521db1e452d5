"""Clients that wait, repeat themselves, hang up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import httpx
import openai
import pytest

from limner.serve.jobs import Job
from tests.serving import Served, live

SLOW = {"prompt": "a zzslow fox", "steps": 15}


def jobs(server: Served, words: str) -> list[Job]:
    return [each for each in server.service.queue.listed() if each.title == words]


def over(server: Served, words: str) -> list[Job]:
    """The jobs of a prompt when all are over."""
    end = time.monotonic() + 20
    while any(not each.over for each in jobs(server, words)) and time.monotonic() < end:
        time.sleep(0.02)
    return jobs(server, words)


def test_a_client_whose_time_is_over_asks_again_and_gets_the_same_job(
    server: Served, counted: Callable[..., tuple[openai.OpenAI, list[str]]]
) -> None:
    client, asked = counted(timeout=1.2, max_retries=9)
    answer = client.images.generate(prompt="a zzslow fox of old", extra_body={"steps": 20})
    assert answer.data is not None
    found = jobs(server, "a zzslow fox of old")
    assert [each.state for each in found] == ["done"]
    assert len(asked) >= 2
    assert (answer.data[0].model_extra or {})["id"] == found[0].made[0]


def test_who_hangs_up_early_wants_nothing_more(server: Served) -> None:
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{server.url}/v1/images/generations", json=SLOW, timeout=0.5)
    (job,) = over(server, SLOW["prompt"])  # type: ignore[arg-type]
    assert (job.state, job.made) == ("cancelled", ())


def test_who_hangs_up_a_stream_wants_nothing_more(server: Served) -> None:
    body = {**SLOW, "prompt": "a zzslow stream", "stream": True, "partial_images": 3}
    with httpx.stream("POST", f"{server.url}/v1/images/generations", json=body, timeout=20) as answer:
        next(answer.iter_lines())
    (job,) = over(server, "a zzslow stream")
    assert job.state == "cancelled"


def test_who_does_not_come_back_is_not_waited_for_long(server: Served) -> None:
    waiting = server.app.state.openai_waiting
    held, waiting._held = waiting._held, 0.3
    try:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                f"{server.url}/v1/images/generations",
                json={**SLOW, "prompt": "a zzslow and lost fox", "steps": 30},
                timeout=0.5,
                headers={"x-stainless-read-timeout": "0.5"},
            )
        (job,) = over(server, "a zzslow and lost fox")
        assert job.state == "cancelled"
        assert waiting._lost == {}
    finally:
        waiting._held = held


def test_the_same_question_twice_is_two_jobs(server: Served) -> None:
    for _ in range(2):
        body = {"prompt": "two foxes", "steps": 2}
        headers = {"x-stainless-retry-count": "1"}  # of a request that was refused before: nothing to go on with
        assert httpx.post(f"{server.url}/v1/images/generations", json=body, headers=headers).status_code == 200
    assert len(jobs(server, "two foxes")) == 2


def test_an_idempotency_key_is_one_job(server: Served) -> None:
    def ask(prompt: str = "a keyed fox") -> httpx.Response:
        headers = {"idempotency-key": "a key"}
        body = {"prompt": prompt, "steps": 2}
        return httpx.post(f"{server.url}/v1/images/generations", json=body, headers=headers)

    first, second = ask(), ask()
    assert first.json()["data"] == second.json()["data"]
    assert len(jobs(server, "a keyed fox")) == 1
    assert ask("another fox").json()["error"]["param"] == "idempotency-key"


def test_what_was_cancelled_is_begun_anew_by_its_key(server: Served) -> None:
    headers, body = {"idempotency-key": "slow key"}, {**SLOW, "prompt": "a zzslow keyed fox", "steps": 5}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{server.url}/v1/images/generations", json=body, timeout=0.3, headers=headers)
    over(server, "a zzslow keyed fox")
    assert httpx.post(f"{server.url}/v1/images/generations", json=body, headers=headers).status_code == 200
    assert sorted(each.state for each in jobs(server, "a zzslow keyed fox")) == ["cancelled", "done"]


def test_a_full_queue_says_when_to_come_back(
    tmp_path_factory: pytest.TempPathFactory, counted: Callable[..., tuple[openai.OpenAI, list[str]]]
) -> None:
    with live(tmp_path_factory.mktemp("home"), most_waiting=2) as server:
        server.draw("a zzslow fox", n=2, steps=6)
        client, asked = counted(server.url, max_retries=0)
        with pytest.raises(openai.RateLimitError) as caught:
            client.images.generate(prompt="a red fox")
        assert caught.value.code == "rate_limit_exceeded"
        assert int(caught.value.response.headers["retry-after"]) >= 1
        assert caught.value.response.headers["x-should-retry"] == "true"
        again, asked = counted(server.url, max_retries=5)
        assert again.images.generate(prompt="a red fox").data
        assert len(asked) > 1
        with pytest.raises(openai.BadRequestError):
            client.images.generate(prompt="a red fox", n=3)


def test_a_stream_whose_client_has_gone_before_it_began(server: Served) -> None:
    """Its events are never asked for."""
    from starlette.types import Message

    from limner.serve.openai.images import Stream

    job = server.draw("a zzslow fox that nobody sees", steps=30)

    async def answer() -> None:
        async def events() -> AsyncIterator[bytes]:
            yield b""  # pragma: no cover

        async def gone() -> Message:
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            await asyncio.sleep(1)

        stream = Stream(events(), server.app.state.openai_waiting, job.id)
        await stream({"type": "http", "asgi": {"spec_version": "2.3"}}, gone, send)

    server.client.post("/v1/images/generations", json={"prompt": "a fox", "steps": 1})  # there is a Waiting now
    server.call(answer())
    assert server.wait(job.id).state == "cancelled"
