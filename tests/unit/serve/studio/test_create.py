"""The Create page: from the form to a job, its card, its pictures, and what can be done with them."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from limner.types import Request
from tests.builtin import FACTOR, LIMIT, SIDE
from tests.serving import Served, live, png

PAGE = {"accept": "text/html"}
HTMX = {"hx-request": "true"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with live(tmp_path_factory.mktemp("home")) as server:
        yield server


def sent(server: Served, **form: object) -> str:
    """Ask by the form, as htmx does; the new job's id."""
    answer = server.client.post("/ui/jobs", data={"prompt": "a red fox", "n": "1", **form}, headers=HTMX)
    assert answer.status_code == 200, answer.text
    found = re.search(r'id="job-([0-9a-z]{14})"', answer.text)
    assert found is not None
    return found[1]


def asked(server: Served, id: str) -> Request:
    job = server.call(server.service.job(id))
    assert job is not None
    return Request.model_validate(job.body)


def test_an_empty_library_gets_examples_that_the_built_in_model_knows(tmp_path: Path) -> None:
    with live(tmp_path, ready=False) as server:
        text = server.client.get("/", headers=PAGE).text
        words = re.findall(r'name="prompt" value="([^"]+)"', text)
        assert len(words) == 4
        for each in words:
            assert "does not know" not in server.client.get("/ui/lint", params={"prompt": each}).text


def test_the_form_becomes_a_request(server: Served) -> None:
    form = {"n": "3", "seed": "7", "steps": "5", "guidance": "2.5", "styles": ["photo", "night"], "negative": "snow"}
    request = asked(server, sent(server, shape="landscape", solver="euler", **form))
    assert (request.n, request.seed, request.steps, request.guidance) == (3, 7, 5, 2.5)
    assert (request.width, request.height) == (SIDE * 9 // 8, SIDE * 7 // 8)
    assert request.styles == ("photo", "night")
    assert (request.solver, request.negative) == ("euler", "snow")


def test_empty_fields_leave_it_to_the_model(server: Served) -> None:
    empty = dict.fromkeys(("seed", "steps", "guidance", "solver", "negative", "hires", "strength", "init"), "")
    request = asked(server, sent(server, shape="square", **empty))
    assert request == Request(prompt="a red fox")


def test_a_card_has_a_place_for_every_picture_and_then_the_pictures(server: Served) -> None:
    answer = server.client.post("/ui/jobs", data={"prompt": "a red fox", "n": "4"}, headers=HTMX)
    assert answer.text.count(f'<canvas width="{SIDE}" height="{SIDE}"') == 4
    id = re.search(r'id="job-([0-9a-z]{14})"', answer.text)[1]  # type: ignore[index]
    job = server.wait(id)
    state = server.client.get(f"/ui/jobs/{id}/state").text
    assert 'data-made="0,1,2,3"' in state
    assert "hx-get" not in state  # it is over: nothing more is asked
    for k, picture in enumerate(job.made):
        tile = server.client.get(f"/ui/jobs/{id}/tiles/{k}").text
        assert f"/i/{picture}" in tile
        assert f"{k + 1} of 4" in tile
    assert server.client.get(f"/ui/jobs/{id}/tiles/9").status_code == 404


def test_without_script_the_form_leads_back_to_the_page(server: Served) -> None:
    answer = server.client.post("/ui/jobs", data={"prompt": "a plain form", "n": "1"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "a plain form" in server.client.get("/", headers=PAGE).text


def test_one_sending_draws_once(server: Served) -> None:
    assert sent(server, key="0123456789ab") == sent(server, key="0123456789ab")
    assert sent(server, key="0123456789ac") != sent(server, key="0123456789ad")


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"prompt": " "}, "prompt"),
        ({"n": "0"}, "n"),
        ({"n": "many"}, "n"),
        ({"seed": "-1"}, "seed"),
        ({"steps": "9999"}, "steps"),
        ({"shape": "custom", "width": "64"}, "width and height"),
        ({"model": "../../etc/passwd"}, "model"),
        ({"model": "no-such-model"}, "model"),
        ({"styles": "no-such-style"}, "style"),
    ],
)
def test_what_cannot_be_is_said_on_a_card(server: Served, form: dict[str, str], field: str) -> None:
    answer = server.client.post("/ui/jobs", data={"prompt": "a fox", "n": "1", **form}, headers=HTMX)
    assert 400 <= answer.status_code < 500
    assert field in answer.text
    assert 'role="alert"' in answer.text


def test_a_refusal_says_the_rule_and_what_would_pass(server: Served) -> None:
    answer = server.client.post("/ui/jobs", data={"prompt": "a naked child", "n": "1"}, headers=HTMX)
    assert answer.status_code == 403
    for words in ("the policy forbids it", "minors.sexual", "What would pass", "Edit the prompt"):
        assert words in answer.text
    assert "ry again" not in answer.text


def test_a_full_queue_says_when(tmp_path: Path) -> None:
    with live(tmp_path, most_waiting=2, ready=False, grace=0.1) as server:
        assert (
            server.client.post("/ui/jobs", data={"prompt": "a fox zzslow", "n": "2"}, headers=HTMX).status_code == 200
        )
        answer = server.client.post("/ui/jobs", data={"prompt": "a fox", "n": "1"}, headers=HTMX)
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 1
        assert "No room in the queue" in answer.text


@pytest.mark.parametrize(("word", "said"), [("zzfail", "as it was told to"), ("zzoom", "It does not fit")])
def test_a_failure_stays_with_what_next(server: Served, word: str, said: str) -> None:
    id = sent(server, prompt=f"a fox {word}")
    server.wait(id)
    for text in (server.client.get(f"/ui/jobs/{id}/state").text, server.client.get("/", headers=PAGE).text):
        assert said in text
        assert "Edit and try again" in text


def test_cancelling_keeps_what_is_made(server: Served) -> None:
    id = sent(server, prompt="a fox zzslow", n="3")
    answer = server.client.post(f"/ui/jobs/{id}/cancel", data={}, headers=HTMX)
    assert answer.status_code == 200
    assert server.wait(id).state == "cancelled"
    assert "Cancelled" in server.client.get(f"/ui/jobs/{id}/state").text
    assert server.client.post("/ui/jobs/00000000000000/cancel", data={}, headers=HTMX).status_code == 404


def test_hints_count_tokens_and_offer_known_words(server: Served) -> None:
    text = server.client.get("/ui/lint", params={"prompt": "a kitten and a zeppelin", "model": "pocket"}).text
    assert re.search(rf"\d+/{LIMIT}", text)
    assert 'data-replace="zeppelin" data-with=""' in text
    assert 'data-with="cat"' in text or "kitten" not in text
    assert server.client.get("/ui/lint", params={"prompt": ""}).text.strip() == ""
    assert server.client.get("/ui/lint", params={"prompt": "a fox", "model": "sdxl"}).status_code == 200


def test_cost_comes_before_the_click(server: Served) -> None:
    text = server.client.post("/ui/cost", data={"prompt": "", "n": "4"}).text
    assert re.search(r"about [\d.]+ (s|min), [\d.]+ MB", text)
    assert "to fetch first" in server.client.post("/ui/cost", data={"prompt": "a fox", "model": "sd15"}).text
    assert (
        f"multiples of {FACTOR}"
        in server.client.post(
            "/ui/cost", data={"prompt": "x", "n": "1", "shape": "custom", "width": "100", "height": "90"}
        ).text
    )
    assert re.search(r"about [\d.]+ s", server.client.post("/ui/cost", data={"prompt": "a naked child", "n": "1"}).text)


def test_settings_are_those_that_the_family_honours(server: Served) -> None:
    pocket = server.client.post("/ui/settings", data={"model": "pocket", "steps": "9"}).text
    assert 'name="steps" min="1" step="1" value="9"' in pocket
    assert 'name="temperature"' not in pocket
    dalle = server.client.post("/ui/settings", data={"model": "dalle-mini"}).text
    assert 'name="temperature"' in dalle
    for name in ("steps", "negative", "shape", "init", "hires"):
        assert f'name="{name}"' not in dalle


def test_models_that_are_not_here_are_listed_with_the_reason(server: Served) -> None:
    text = server.client.get("/", headers=PAGE).text
    option = re.search(r'<option value="sdxl"[^>]*>', text)
    assert option is not None
    assert "disabled" in option[0]
    assert "offline" in option[0] or "fit" in option[0]


def test_vary_and_again_are_children_of_the_picture(server: Served) -> None:
    id = server.picture("a {red|green} fox", seed=5)
    words = server.service.session.library.get(id).prompt
    for path, form in (("vary", {"amount": "subtle"}), ("vary", {"amount": "strong"}), ("again", {})):
        answer = server.client.post(f"/ui/i/{id}/{path}", data=form, headers=HTMX)
        assert answer.status_code == 200
        job = server.wait(re.search(r'id="job-([0-9a-z]{14})"', answer.text)[1])  # type: ignore[index]
        entries = [server.service.session.library.get(each) for each in job.made]
        assert len(entries) == 4
        assert {each.parent for each in entries} == {id}
        assert {each.prompt for each in entries} == {words}
        seeds = {each.seed for each in entries}
        assert (5 in seeds) is (path == "vary")
    assert server.client.post(f"/ui/i/{id}/vary", data={"amount": "odd"}, headers=HTMX).status_code == 422


def test_a_picture_fills_the_form(server: Served) -> None:
    id = server.picture("an owl & a cake", seed=11, steps=6, width=SIDE * 9 // 8, height=SIDE * 7 // 8)
    text = server.client.get("/", params={"from": id}, headers=PAGE).text
    assert "an owl &amp; a cake</textarea>" in text
    assert 'value="11"' in text
    assert 'value="landscape" id="shape-landscape" checked' in text
    assert 'name="steps" min="1" step="1" value="6"' in text
    begun = server.client.get("/", params={"start": id, "prompt": "a fox"}, headers=PAGE).text
    name = re.search(r'name="init" value="(sha256:[0-9a-f]{64})"', begun)
    assert name is not None
    drawn = asked(server, sent(server, init=name[1], strength="0.4"))
    assert (drawn.init, drawn.strength) == (name[1], 0.4)
    assert server.client.get("/", params={"from": "00000000000000"}, headers=PAGE).status_code == 404


def test_a_dropped_picture_opens_itself_restores_or_becomes_the_start(server: Served) -> None:
    id = server.picture("a fox to drop", seed=3)
    entry = server.service.session.library.get(id)

    def opened(data: bytes) -> object:
        return server.client.post("/ui/open", files={"file": ("it.png", data, "image/png")}, headers=HTMX)

    known = opened(entry.path.read_bytes())
    assert known.status_code == 204  # type: ignore[attr-defined]
    assert known.headers["hx-redirect"] == f"/i/{id}"  # type: ignore[attr-defined]

    plain = opened(png())
    assert plain.headers["x-limner-part"] == "start"  # type: ignore[attr-defined]
    assert "sha256:" in plain.text  # type: ignore[attr-defined]

    out, info = io.BytesIO(), PngInfo()
    info.add_text("parameters", "a grey cat\nNegative prompt: dogs\nSteps: 12, Sampler: Euler, Seed: 99, Size: 64x64")
    Image.new("RGB", (64, 64)).save(out, "PNG", pnginfo=info)
    restored = opened(out.getvalue())
    assert restored.headers["x-limner-part"] == "form"  # type: ignore[attr-defined]
    for words in ("a grey cat</textarea>", 'value="99"', "dogs</textarea>", 'value="12"'):
        assert words in restored.text  # type: ignore[attr-defined]

    broken = server.client.post("/ui/open", files={"file": ("it.png", b"nothing", "image/png")}, headers=HTMX)
    assert broken.status_code == 422
    assert broken.headers["hx-retarget"] == "#troubles"


def test_a_picture_for_the_start_is_taken_even_if_it_is_known(server: Served) -> None:
    data = server.service.session.library.get(server.picture()).path.read_bytes()
    answer = server.client.post("/ui/start", files={"file": ("it.png", data, "image/png")}, headers=HTMX)
    assert answer.headers["x-limner-part"] == "start"
    assert f"{SIDE} × {SIDE}" in answer.text
    assert server.client.post("/ui/start", data={"file": "text"}, headers=HTMX).status_code == 422


def test_words_of_others_are_escaped(server: Served) -> None:
    id = sent(server, prompt='"><img src=x> <script>x</script>')
    server.wait(id)
    for path in ("/", f"/ui/jobs/{id}", "/ui/queue"):
        text = server.client.get(path, headers=PAGE).text
        assert "<img src=x>" not in text
        assert "<script>x" not in text


def test_a_model_that_is_not_here_is_fetched_first(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.service.session, "offline", False)
    form = {"prompt": "a fox to come", "n": "1", "model": "sd15"}
    answer = server.client.post("/ui/jobs", data=form, headers=HTMX)
    assert answer.status_code == 200
    assert 'data-kind="pull"' in answer.text
    pending, meanwhile = answer.text.split("data-pending")[1], answer.text.split("data-pending")[0]
    assert 'name="model" value="sd15"' in pending
    assert 'name="prompt" value="a fox to come"' in pending
    assert 'name="model" value="pocket"' in meanwhile
    job = server.wait(re.search(r'id="job-([0-9a-z]{14})"', answer.text)[1])  # type: ignore[index]
    assert (job.kind, job.title, job.state) == ("pull", "sd15", "done")
    assert "Draw with it" in server.client.get(f"/ui/jobs/{job.id}/state").text
