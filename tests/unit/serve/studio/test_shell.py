"""The studio's shell: pages, static files, themes, errors, the queue panel."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from limner.serve.studio.statics import BASE, FILES
from limner.serve.studio.templating import environment
from limner.serve.studio.words import ago, duration, plural, sentence, size
from tests.serving import Served, live

PAGE = {"accept": "text/html"}
HTMX = {"hx-request": "true"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with live(tmp_path_factory.mktemp("home")) as server:
        yield server


def test_no_page_holds_inline_script_or_style_or_anything_from_elsewhere(server: Served) -> None:
    server.picture("a fox <script>alert(1)</script>")
    for path in ("/", "/queue", "/no-such-page"):
        text = server.client.get(path, headers=PAGE).text
        assert not re.search(r"\sstyle=|\son\w+=|hx-on|<style|<script(?![^>]*\ssrc=)", text)
        assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", text)


def test_templates_escape_and_miss_nothing() -> None:
    assert environment().from_string("{{ it }}").render(it="<b>") == "&lt;b&gt;"
    with pytest.raises(Exception, match="undefined"):
        environment().from_string("{{ it }}").render()


def test_what_a_page_asks_for_is_there(server: Served) -> None:
    text = server.client.get("/", headers=PAGE).text
    asked = re.findall(rf"\"({BASE}/[^\"]+)\"", text)
    assert len(asked) > 5
    for address in asked:
        answer = server.client.get(address)
        assert answer.status_code == 200, address
        assert "immutable" in answer.headers["cache-control"]


def test_modules_import_what_exists() -> None:
    for name, data in FILES.items():
        if not name.endswith(".js") or "vendor" in name:
            continue
        for other in re.findall(r"(?:import|from) \"(\.[^\"]+)\"", data.decode()):
            parts = [*name.split("/")[:-1], *other.split("/")]
            found: list[str] = []
            for part in parts:
                if part == "..":
                    found.pop()
                elif part != ".":
                    found.append(part)
            assert "/".join(found) in FILES, f"{name} imports {other}"


@pytest.mark.parametrize("name", ["../templating.py", "..%2ftemplating.py", "/etc/passwd", "js", "js/none.js"])
def test_static_serves_its_own_files_only(server: Served, name: str) -> None:
    assert server.client.get(f"{BASE}/{name}").status_code == 404


def test_an_older_address_still_answers_but_is_not_kept(server: Served) -> None:
    answer = server.client.get("/static/000000000000/css/tokens.css")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-cache"


def test_the_theme_is_in_the_first_answer(server: Served) -> None:
    assert "data-theme" not in server.client.get("/", headers=PAGE).text.partition(">")[2].partition(">")[0]
    chosen = server.client.post("/ui/theme", data={"theme": "dark"})
    assert chosen.status_code == 303
    assert '<html lang="en" data-theme="dark">' in server.client.get("/", headers=PAGE).text
    server.client.post("/ui/theme", data={"theme": ""}, headers=HTMX)
    assert "limner_theme" not in server.client.cookies
    server.client.post("/ui/theme", data={"theme": "<script>"})
    assert "limner_theme" not in server.client.cookies


def test_an_error_is_a_page_a_card_or_json(server: Served) -> None:
    page = server.client.get("/nothing", headers=PAGE)
    assert page.status_code == 404
    assert "<h1>There is nothing here</h1>" in page.text
    card = server.client.post("/ui/jobs", data={"prompt": ""}, headers=HTMX)
    assert card.status_code == 422
    assert card.headers["hx-retarget"] == "#troubles"
    assert 'role="alert"' in card.text
    assert "<html" not in card.text
    assert server.client.get("/nothing").json()["error"]["code"] == "not_found"
    assert server.client.get("/api/v1/nothing", headers=PAGE).json()["error"]["code"] == "not_found"


def test_strangers_see_nothing_of_the_server(tmp_path_factory: pytest.TempPathFactory) -> None:
    with live(tmp_path_factory.mktemp("home"), token="a-long-enough-token-for-this", ready=False) as server:
        del server.client.headers["authorization"]
        answer = server.client.get("/", headers=PAGE)
        assert answer.status_code == 303
        assert answer.headers["location"] == "/login"
        assert "Queue" not in answer.text
        assert server.client.get(f"{BASE}/css/tokens.css").status_code == 200


def test_the_queue_panel_says_who_runs_and_who_waits(server: Served) -> None:
    assert "Nothing waits" in server.client.get("/ui/queue").text
    first = server.draw("a fox zzslow", n=2)
    assert "a fox zzslow" in server.client.get("/queue", headers=PAGE).text
    assert int(server.client.get("/ui/queue/count").text) >= 1
    answer = server.client.post(f"/ui/jobs/{first.id}/stop", headers=HTMX, data={})
    assert answer.status_code == 200
    assert server.wait(first.id).state == "cancelled"


@pytest.mark.parametrize(
    ("whence", "whither"),
    [
        ("{url}/compare/job/abc?x=1", "/compare/job/abc?x=1"),
        ("{url}/gallery", "/gallery"),
        ("https://example.org/gallery", "/queue"),
        ("{url}//example.org", "/queue"),
        ("", "/queue"),
    ],
)
def test_who_stops_a_job_without_the_script_stays_on_the_page(server: Served, whence: str, whither: str) -> None:
    job = server.draw("a fox zzslow", n=2)
    said = {"referer": whence.format(url=server.url)} if whence else {}
    answer = server.client.post(f"/ui/jobs/{job.id}/stop", headers=PAGE | said, data={})
    assert (answer.status_code, answer.headers["location"]) == (303, whither)
    assert server.wait(job.id).state == "cancelled"


def test_waiting_jobs_change_places(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.service.inside, "draining", True)  # hands nothing out
    monkeypatch.setattr(server.service, "admit", lambda n: None)
    a, b, c = (server.draw(f"number {k}").id for k in "abc")
    server.client.post(f"/ui/jobs/{c}/up", headers=HTMX, data={})
    server.client.post(f"/ui/jobs/{a}/down", headers=HTMX, data={})
    line = [job.id for job in server.call(server.service.jobs("queued"))]
    assert line == [c, a, b]
    for each in line:
        server.client.post(f"/ui/jobs/{each}/cancel", data={})
    assert "Nothing waits" in server.client.get("/ui/queue").text


def test_a_rating_comes_back_as_stars(server: Served) -> None:
    id = server.picture()
    answer = server.client.post(f"/ui/i/{id}/rating", data={"rating": "4", "where": "feed"}, headers=HTMX)
    assert answer.text.count('"star on"') == 4
    assert "4 of 5" in answer.text
    assert server.service.session.library.get(id).rating == 4
    server.client.post(f"/ui/i/{id}/rating", data={"rating": "0"}, headers=HTMX)
    assert server.service.session.library.get(id).rating is None
    assert server.client.post(f"/ui/i/{id}/rating", data={"rating": "6"}, headers=HTMX).status_code == 422
    assert server.client.post("/ui/i/00000000000000/rating", data={"rating": "1"}, headers=HTMX).status_code == 404


def test_numbers_as_people_read_them() -> None:
    assert [duration(each) for each in (None, 0.44, 12.2, 180, 7800)] == [
        "not known",
        "0.4 s",
        "12 s",
        "3 min",
        "2 h 10 min",
    ]
    assert [size(each) for each in (None, 999, 44_230_797, 6.94e9)] == ["not known", "999 bytes", "44.2 MB", "6.9 GB"]
    assert (plural(1, "picture"), plural(3, "picture")) == ("1 picture", "3 pictures")
    assert sentence("the queue is full") == "The queue is full"
    assert sentence("n: too many") == "n: too many"
    assert ago(0) == "1970-01-01"
