"""The image page: neighbours, settings, lineage, marks, A over B, and what can be done with a picture."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import pytest

from limner.library.store import entry_of
from limner.serve.security import Guard
from limner.serve.studio.image_acts import verdict
from limner.types import Request, Score
from tests.faces.pictures import pixels, record
from tests.serving import Served, live

PAGE = {"accept": "text/html"}
HTMX = {"hx-request": "true"}
TOKEN = "correct-horse-battery"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with live(tmp_path_factory.mktemp("home")) as server:
        yield server


@pytest.fixture(scope="module")
def fox(server: Served) -> str:
    return server.picture("a red fox", seed=41, steps=3)


def get(server: Served, url: str) -> str:
    answer = server.client.get(url, headers=PAGE)
    assert answer.status_code == 200, answer.text[:500]
    return answer.text


def done(server: Served, id: str, act: str) -> tuple[list[str], str]:
    """Press the button, wait for its job: ids of its pictures, and what the page then says."""
    answer = server.client.post(f"/ui/i/{id}/do/{act}", headers=HTMX)
    assert answer.status_code == 200, answer.text
    where = re.search(r'hx-get="(/ui/i/[^"]+/job/([0-9a-z]{14})[^"]*)"', answer.text)
    assert where is not None, answer.text
    job = server.wait(where[2])
    assert job.state == "done", job.error
    return list(job.made), get(server, html.unescape(where[1]))


def test_a_picture_and_its_settings(server: Served, fox: str) -> None:
    text = get(server, f"/i/{fox}")
    assert "a red fox</h1>" in text
    assert re.search(r"<dt>seed</dt><dd>41</dd>", text)
    assert f'src="/api/v1/pictures/{fox}/file"' in text
    assert f'href="/i/{fox}/edit"' in text
    assert "<article" not in server.client.get(f"/i/{'0' * 14}", headers=PAGE).text
    assert server.client.get(f"/i/{'0' * 14}", headers=PAGE).status_code == 404


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("/i/zzz", "no picture zzz"),
        (f"/i/{'z' * 15}", "no picture z"),
        ("/i/zzz/edit", "no picture zzz"),
        ("/compare/zzz", "no study zzz"),
        ("/compare/job/zzz", "no job zzz"),
        (f"/compare/%3Cb%3E{'z' * 99}", "no study &lt;b&gt;z"),
    ],
)
def test_an_id_that_nothing_can_have_is_not_found(server: Served, url: str, said: str) -> None:
    answer = server.client.get(url, headers=PAGE)
    assert answer.status_code == 404
    assert said in answer.text
    assert "pattern" not in answer.text
    assert "z" * 60 not in answer.text


def test_the_beginning_of_an_id_is_none(server: Served, fox: str) -> None:
    assert server.client.get(f"/i/{fox[:10]}", headers=PAGE).status_code == 404
    assert server.client.get(f"/ui/i/{fox[:10]}", headers=HTMX).status_code == 404


def test_the_lightbox_gets_the_same_without_the_page(server: Served, fox: str) -> None:
    text = get(server, f"/ui/i/{fox}?q=red")
    assert "<html" not in text
    assert f'data-href="/i/{fox}?q=red"' in text


def test_neighbours_are_those_of_the_search(server: Served) -> None:
    boats = [server.picture(f"a boat {k}", seed=k, steps=1) for k in range(2)]
    server.picture("a hat", steps=1)
    boats.append(server.picture("a boat 2", seed=9, steps=1))
    text = get(server, f"/i/{boats[1]}?q=boat")
    assert re.findall(r'href="/i/([0-9a-z]{14})\?q=boat" data-step data-key="Arrow(\w+)"', text) == [
        (boats[2], "Left"),
        (boats[0], "Right"),
    ]
    assert "2 / 3" in text
    assert "ArrowLeft" not in get(server, f"/i/{boats[2]}?q=boat")
    assert "a boat 1</h1>" in get(server, f"/i/{boats[1]}?q=rating:nonsense")


def test_variations_join_and_their_lineage_says_how_they_came(server: Served, fox: str) -> None:
    made, told = done(server, fox, "vary")
    assert len(made) == 4
    assert all(f'href="/i/{id}"' in told for id in made)
    library = server.service.session.library
    for id, value in ((fox, 0.25), (made[0], 0.5)):
        library.score(id, Score(scorer="pocket-clip", revision="1", value=value, scale="x", domain="d"))
    text = get(server, f"/i/{made[0]}")
    tree = text[text.index('<ol class="tree">') :]
    assert tree.count("Variation, 20% new noise") == 4
    assert re.search(rf'aria-current="true">\s*<a class="kin" href="/i/{made[0]}"', tree)
    assert "pocket-clip 0.25 → 0.5 (+0.25)" in tree
    assert f'href="/i/{made[0]}?with={fox}"' in text
    asked = library.get(made[0]).record
    assert asked is not None
    assert (asked.prompt, asked.seed.seed, asked.request.variation) == ("a red fox", 41, 0.2)


def test_scores_against_other_words_are_no_gain(server: Served, fox: str) -> None:
    made, _ = done(server, fox, "vary-strong")
    library = server.service.session.library
    for id, text in ((fox, "sha256:a"), (made[0], "sha256:b")):
        library.score(id, Score(scorer="other", revision="1", value=1, scale="x", domain="d", text=text))
    page = get(server, f"/i/{made[0]}")
    assert "other 1" not in page[page.index('<ol class="tree">') :]
    assert "of another text" in page


def test_new_seeds_have_the_same_words_and_no_parent(server: Served, fox: str) -> None:
    made, _ = done(server, fox, "again")
    entries = [server.service.session.library.get(id) for id in made]
    assert {entry.prompt for entry in entries} == {"a red fox"}
    assert {entry.parent for entry in entries} == {None}
    assert len({entry.seed for entry in entries} | {41}) == 5


def test_a_replay_says_whether_it_is_identical(server: Served, fox: str) -> None:
    made, told = done(server, fox, "replay")
    assert "Identical: the same pixels" in told
    library = server.service.session.library
    other = library.get(server.picture("a red fox", seed=42, steps=3))
    word, _ = verdict(library.get(fox), other)
    assert word.startswith(("Near", "Different"))
    assert len(made) == 1


def test_larger_and_scored(server: Served, fox: str) -> None:
    made, _ = done(server, fox, "upscale")
    assert server.service.session.library.get(made[0]).parent == fox
    _, told = done(server, fox, "score")
    assert "See its scores" in told


def test_a_failure_stays_with_its_reason(server: Served) -> None:
    id = server.picture("a red fox", seed=5, steps=3)
    entry = server.service.session.library.get(id)
    assert entry.record is not None
    failing = entry.record.model_copy(update={"prompt": "zzfail", "request": entry.record.request.but(prompt="zzfail")})
    server.service.session.library.database.write(
        "UPDATE pictures SET record = ? WHERE id = ?", (failing.to_json(), id)
    )
    answer = server.client.post(f"/ui/i/{id}/do/again", headers=HTMX)
    job = re.search(r'id="work-job-([0-9a-z]{14})"', answer.text)
    assert job is not None
    assert server.wait(job[1]).state == "failed"
    assert 'role="alert"' in get(server, f"/ui/i/{id}/job/{job[1]}?act=again")


def test_another_programs_picture_can_be_started_from_alone(server: Served) -> None:
    library = server.service.session.library
    shown = pixels()
    entry = entry_of(library.new_id(), library.root / "other.png", record(shown, "a lighthouse"), "png", (24, 16))
    library.insert([entry])
    library.database.write(
        "UPDATE pictures SET record = NULL, source = 'a1111', fields = '{\"steps\": 20}' WHERE id = ?", (entry.id,)
    )
    text = get(server, f"/i/{entry.id}")
    assert "Made elsewhere (a1111)" in text
    assert "/do/vary" not in text
    assert f'href="/?start={entry.id}"' in text
    assert "<dt>steps</dt><dd>20</dd>" in text
    assert server.client.post(f"/ui/i/{entry.id}/do/vary", headers=HTMX).status_code == 422


def test_marks_are_what_inspect_says(server: Served, fox: str) -> None:
    text = get(server, f"/ui/i/{fox}/marks")
    assert "<dt>watermark</dt>" in text
    assert "<dt>manifest (C2PA)</dt>" in text
    assert "intact: exactly those that were drawn" in text


@pytest.mark.parametrize(
    ("guard", "told"),
    [
        (Guard.of("127.0.0.1", None), True),
        (Guard.of("::1", TOKEN), True),
        (Guard.of("0.0.0.0", TOKEN), False),
        (Guard.of("127.0.0.1", TOKEN, ("studio.example",)), False),  # behind a proxy
    ],
)
def test_the_files_place_is_told_on_this_machine_alone(
    server: Served, fox: str, monkeypatch: pytest.MonkeyPatch, guard: Guard, told: bool
) -> None:
    monkeypatch.setattr(server.app.state.shell, "guard", guard)
    text = get(server, f"/ui/i/{fox}/marks")
    assert (str(server.service.settings.library_root) in text) is told


def test_a_over_b_says_what_differs(server: Served, fox: str) -> None:
    other = server.picture("a blue house", seed=41, steps=3)
    text = get(server, f"/i/{other}?with={fox}")
    assert 'type="range"' in text
    assert re.search(r'<th scope="row">prompt</th><td>a red fox</td><td>a blue house</td>', text)
    assert '<th scope="row">seed</th>' not in text
    assert 'type="range"' not in get(server, f"/i/{other}?with={'0' * 14}")


def test_what_was_asked_is_a_request(server: Served, fox: str) -> None:
    answer = server.client.post(f"/ui/i/{fox}/do/vary", headers=HTMX)
    found = re.search(r'id="work-job-([0-9a-z]{14})"', answer.text)
    assert found is not None
    job = server.wait(found[1])
    assert Request.model_validate(job.body).variation == 0.2
    assert job.client == "studio"


def test_unknown_acts_and_jobs(server: Served, fox: str) -> None:
    assert server.client.post(f"/ui/i/{fox}/do/explode", headers=HTMX).status_code == 422
    assert server.client.get(f"/ui/i/{fox}/job/{'0' * 14}?act=vary", headers=HTMX).status_code == 404
