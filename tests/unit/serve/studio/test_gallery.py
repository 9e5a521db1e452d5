"""The gallery: stretches by months, search and its filters, rating and deleting one or several."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from limner.library.browse import STRETCH
from limner.library.entries import Query
from limner.library.store import Library, entry_of
from limner.types import Score
from tests.faces.pictures import pixels, record
from tests.serving import Served, live

PAGE = {"accept": "text/html"}
HTMX = {"hx-request": "true"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """125 foxes of November, three cats of October by another model, one of them with a score."""
    with live(tmp_path_factory.mktemp("home"), ready=False) as server:
        library = server.service.session.library
        add(library, [f"2026-11-{1 + k % 20:02}T10:{k % 60:02}:00Z" for k in range(STRETCH + 5)])
        cats = add(library, ["2026-10-05T10:00:00Z"] * 3, 'a <b>cat</b> & "dog"', model="sdxl")
        library.score(cats[0], Score(scorer="pocket-clip", revision="1", value=0.7, scale="x", domain="d"))
        yield server


@pytest.fixture(scope="module")
def young(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server whose library each test adds its own pictures to."""
    with live(tmp_path_factory.mktemp("young"), ready=False) as server:
        yield server


def add(library: Library, times: list[str], prompt: str = "a red fox", **more: object) -> list[str]:
    shown, made = pixels(), []
    for when in times:
        name = library.new_id()
        told = record(shown, prompt, created=when, **more)
        made.append(entry_of(name, library.root / "images" / f"{name}.png", told, "png", (24, 16)))
    library.insert(made)
    return [each.id for each in made]


def get(server: Served, url: str) -> str:
    answer = server.client.get(url, headers=PAGE)
    assert answer.status_code == 200, answer.text[:500]
    return answer.text


def tiles(text: str) -> list[str]:
    return re.findall(r'data-picture="([0-9a-z]{14})"', text)


def groups(text: str) -> list[tuple[int, str]]:
    return [(int(n), html.unescape(src)) for n, src in re.findall(r'data-count="(\d+)" data-src="([^"]+)"', text)]


def of(server: Served, text: str) -> list[str]:
    return [each.id for each in server.service.session.library.list(Query(text=text, limit=None))]


def test_months_with_counts_and_stretches_that_do_not_cross_them(server: Served) -> None:
    text = get(server, "/gallery")
    assert re.findall(r"<h2[^>]*>(\w+ \d{4}) <span class=\"quiet\">\((\d+)\)", text) == [
        ("November 2026", "125"),
        ("October 2026", "3"),
    ]
    assert [count for count, _ in groups(text)] == [120, 5, 3]
    assert len(tiles(text)) == 120
    assert 'href="#m-2026-10"' in text


def test_every_stretch_can_be_asked_for_and_together_they_are_all(server: Served) -> None:
    shown = [id for _, src in groups(get(server, "/gallery")) for id in tiles(get(server, src))]
    assert len(shown) == len(set(shown)) == 128
    assert set(shown) == set(of(server, ""))


def test_without_script_any_stretch_is_a_page(server: Served) -> None:
    text = get(server, "/gallery")
    for url in re.findall(r'<a class="without-script button" href="([^"]+)"', text):
        again = get(server, html.unescape(url))
        assert 0 < len(tiles(again)) <= 5


def test_what_people_wrote_is_shown_as_they_wrote_it(server: Served) -> None:
    text = get(server, "/gallery?q=cat")
    assert "<b>cat</b>" not in text
    assert "&lt;b&gt;cat&lt;/b&gt; &amp; &#34;dog&#34;" in text
    assert 'value="&#34;&gt;&lt;script&gt;"' in server.client.get("/gallery?q=%22%3E%3Cscript%3E", headers=PAGE).text


@pytest.mark.parametrize(
    ("q", "count"),
    [("cat", 3), ("fox", 125), ("model:sdxl", 3), ("score:pocket-clip>0.5", 1), ("score:pocket-clip<0.5", 0)],
)
def test_the_box_searches(server: Served, q: str, count: int) -> None:
    assert sum(n for n, _ in groups(get(server, f"/gallery?q={q.replace('>', '%3E')}"))) == count


def test_filters_are_links_and_can_be_dropped(server: Served) -> None:
    text = get(server, "/gallery?q=dog+model:sdxl")
    dropped = re.search(r'<a class="chip" href="([^"]+)">model: sdxl', text)
    assert dropped is not None
    assert parse_qs(urlsplit(html.unescape(dropped[1])).query) == {"q": ["dog"]}
    rated = re.search(r'<a href="([^"]+)">4 of 5 or more</a>', text)
    assert rated is not None
    assert parse_qs(urlsplit(html.unescape(rated[1])).query) == {"q": ["dog model:sdxl rating:4"]}


def test_pictures_by_score_are_of_no_month(server: Served) -> None:
    text = get(server, "/gallery?q=sort:score:pocket-clip")
    assert [count for count, _ in groups(text)] == [120, 8]
    assert "October" not in text
    assert tiles(text)[0] in of(server, "cat")
    assert len(tiles(get(server, groups(text)[1][1]))) == 8


def test_the_better_half_is_over_what_half_of_the_scores_reach(young: Served) -> None:
    library = young.service.session.library
    made = add(library, ["2026-11-01T10:00:00Z"] * 10, "a lamp")
    for k, id in enumerate(made):
        library.score(id, Score(scorer="pocket-clip", revision="1", value=k / 10, scale="x", domain="d"))
    text = get(young, "/gallery")
    halves = re.search(r'<a href="([^"]+)"[^>]*>pocket-clip, better half \(over 0.5\)</a>', text)
    assert halves is not None
    assert sorted(tiles(get(young, html.unescape(halves[1])))) == sorted(made[5:])
    tenth = re.search(r'<a href="([^"]+)"[^>]*>pocket-clip, best tenth \(over 0.9\)</a>', text)
    assert tenth is not None
    assert tiles(get(young, html.unescape(tenth[1]))) == made[9:]


def test_an_empty_search_says_what_removed_most(server: Served) -> None:
    text = get(server, "/gallery?q=fox+model:sdxl+rating:5")
    assert "Nothing fits" in text
    assert "could be" not in text
    text = get(server, "/gallery?q=fox+model:sdxl")
    assert re.findall(r"Drop ([^:<]+(?:: sdxl)?): (\d+)", text) == [("model: sdxl", "125"), ("“fox”", "3")]
    assert "model: sdxl removed most" in text


def test_a_term_that_says_nothing_is_answered_on_the_page(server: Served) -> None:
    answer = server.client.get("/gallery?q=fox+rating:9", headers=PAGE)
    assert answer.status_code == 422
    assert 'value="fox rating:9"' in answer.text
    assert "rating:9 is not 1 to 5" in answer.text
    assert "<code>--" not in server.client.get("/gallery?q=score:nobody%3E1", headers=PAGE).text


def test_a_library_without_pictures_says_how_to_begin(tmp_path: Path) -> None:
    with live(tmp_path, ready=False) as server:
        assert "No pictures yet" in get(server, "/gallery")


def test_new_pictures_are_offered_not_shoved_in(young: Served) -> None:
    add(young.service.session.library, ["2026-11-01T10:00:00Z"], "an old boat")
    text = get(young, "/gallery?q=boat")
    asked = re.search(r'hx-get="(/ui/gallery/new[^"]+)"', text)
    assert asked is not None
    assert get(young, html.unescape(asked[1])).strip() == ""
    add(young.service.session.library, ["2126-11-02T10:00:00Z"] * 3, "a new boat")
    add(young.service.session.library, ["2126-11-02T10:00:00Z"], "a cat")
    assert "3 new" in get(young, html.unescape(asked[1]))


def test_rating_several_says_how_many(server: Served) -> None:
    cats = of(server, "cat")
    answer = server.client.post("/ui/gallery/rating", data={"ids": ",".join(cats), "rating": "4"}, headers=HTMX)
    assert "3 pictures: 4 of 5" in answer.text
    assert sum(n for n, _ in groups(get(server, "/gallery?q=rating:4"))) == 3
    answer = server.client.post("/ui/gallery/rating", data={"ids": cats, "rating": "0"}, headers=HTMX)
    assert "3 pictures: no rating" in answer.text


@pytest.mark.parametrize(
    "form", [{"rating": "4"}, {"ids": "../../etc", "rating": "4"}, {"ids": "0" * 14, "rating": "6"}]
)
def test_a_rating_of_nothing_or_by_nothing_is_refused(server: Served, form: dict[str, str]) -> None:
    assert server.client.post("/ui/gallery/rating", data=form, headers=HTMX).status_code == 422


def test_deleted_pictures_can_be_had_back(server: Served) -> None:
    cats = of(server, "cat")
    answer = server.client.post("/ui/gallery/delete", data={"ids": cats[:2]}, headers=HTMX)
    assert "2 pictures deleted" in answer.text
    assert tiles(get(server, "/gallery?q=cat")) == cats[2:]
    assert server.client.get(f"/i/{cats[0]}", headers=PAGE).status_code == 404
    back = server.client.post("/ui/gallery/restore", data={"ids": ",".join(cats[:2])}, headers=HTMX)
    assert back.status_code == 204
    assert sorted(tiles(get(server, "/gallery?q=cat"))) == sorted(cats)
    late = server.client.post("/ui/gallery/restore", data={"ids": cats[0]}, headers=HTMX)
    assert late.status_code == 422


def test_deleting_without_script_leads_to_a_page_with_the_way_back(server: Served) -> None:
    cat = of(server, "cat")[0]
    answer = server.client.post("/ui/gallery/delete", data={"ids": cat}, headers=PAGE, follow_redirects=True)
    assert "1 picture deleted" in answer.text
    assert f'value="{cat}"' in answer.text
    server.client.post("/ui/gallery/restore", data={"ids": cat}, headers=PAGE)
    assert cat in tiles(get(server, "/gallery?q=cat"))


def test_two_are_compared_and_one_is_not(server: Served) -> None:
    a, b, _ = of(server, "cat")
    answer = server.client.post("/ui/gallery/compare", data={"ids": [a, b]}, headers=PAGE)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/i/{b}?with={a}")
    assert server.client.post("/ui/gallery/compare", data={"ids": a}, headers=PAGE).status_code == 422


def test_a_lost_picture_says_so(young: Served) -> None:
    library = young.service.session.library
    (id,) = add(library, ["2026-11-01T10:00:00Z"], "a wreck")
    library.reconcile()
    assert "Its file is gone" in get(young, "/gallery?q=wreck")
    assert "The file is gone" in get(young, f"/i/{id}")


def test_sizes_choose_the_file_or_a_thumbnail(young: Served) -> None:
    large = np.zeros((600, 300, 3), np.uint8)
    entry = young.service.session.library.add(large, record(large, "a tower"))
    text = get(young, "/gallery?q=tower")
    assert f"/api/v1/pictures/{entry.id}/thumbnail?size=512 512w" in text
    answer = young.client.get(f"/api/v1/pictures/{entry.id}/thumbnail?size=256")
    assert answer.headers["content-type"] == "image/webp"
    assert "immutable" in answer.headers["cache-control"]
