"""The mask editor: what it asks of the queue, and how the result comes back."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator

import pytest
from PIL import Image

from limner.types import Request
from tests.builtin import SIDE
from tests.serving import Served, live, png

PAGE = {"accept": "text/html"}
HTMX = {"hx-request": "true"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with live(tmp_path_factory.mktemp("home")) as server:
        yield server


@pytest.fixture(scope="module")
def fox(server: Served) -> str:
    return server.picture("a red fox", seed=41, steps=4, negative="snow", variation=0.2, variation_seed=7)


def masked(server: Served, box: tuple[int, int, int, int] = (30, 30, 90, 90)) -> str:
    """A mask as the page sends it: white is redrawn."""
    image = Image.new("RGB", (SIDE, SIDE))
    image.paste((255, 255, 255), box)
    out = io.BytesIO()
    image.save(out, "PNG")
    answer = server.client.post("/api/v1/inputs", content=out.getvalue(), headers={"content-type": "image/png"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def filled(server: Served, id: str, **form: str) -> str:
    answer = server.client.post(f"/ui/i/{id}/fill", data=form, headers=HTMX)
    assert answer.status_code == 200, answer.text
    return answer.text


def job_of(text: str) -> str:
    found = re.search(r'data-job="([0-9a-z]{14})"', text)
    assert found is not None
    return found[1]


def test_the_page_has_a_box_by_numbers_for_who_does_not_paint(server: Served, fox: str) -> None:
    text = server.client.get(f"/i/{fox}/edit", headers=PAGE).text
    assert f'data-id="{fox}" data-width="{SIDE}" data-height="{SIDE}"' in text
    for name in ("left", "top", "wide", "high"):
        assert f'<label for="box-{name}">' in text
    assert server.client.get(f"/i/{'0' * 14}/edit", headers=PAGE).status_code == 404


def test_a_fill_is_the_picture_drawn_over_where_the_mask_is_white(server: Served, fox: str) -> None:
    mask = masked(server)
    text = filled(server, fox, prompt="a blue house", strength="0.6", mask=mask)
    job = server.wait(job_of(text))
    assert job.state == "done", job.error
    asked = Request.model_validate(job.body)
    assert (asked.prompt, asked.mask, asked.strength, asked.negative) == ("a blue house", mask, 0.6, "snow")
    assert (asked.n, asked.steps, asked.variation, asked.variation_seed) == (1, 4, 0.0, None)
    assert asked.init is not None
    where = re.search(r'hx-get="([^"]+)"', text)
    assert where is not None
    told = server.client.get(html.unescape(where[1]), headers=HTMX).text
    assert f'data-result="{job.made[0]}"' in told
    assert f'href="/i/{job.made[0]}" id="keep"' in told
    assert server.service.session.library.get(job.made[0]).parent == fox
    page = server.client.get(f"/i/{job.made[0]}", headers=PAGE).text
    assert "A part drawn anew, strength 0.6" in page


def test_without_words_the_pictures_own_are_used(server: Served, fox: str) -> None:
    job = server.wait(job_of(filled(server, fox, prompt="  ", mask=masked(server))))
    assert Request.model_validate(job.body).prompt == "a red fox"


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({}, "is masked"),
        ({"mask": "../../etc/passwd"}, "mask"),
        ({"mask": "sha256:" + "0" * 64}, "is not here"),
        ({"mask": "MASK", "strength": "7"}, "strength"),
        ({"mask": "MASK", "strength": "a lot"}, "strength"),
    ],
)
def test_what_cannot_be_filled_is_said(server: Served, fox: str, form: dict[str, str], said: str) -> None:
    sent = {name: masked(server) if value == "MASK" else value for name, value in form.items()}
    answer = server.client.post(f"/ui/i/{fox}/fill", data=sent, headers=HTMX)
    assert 400 <= answer.status_code < 500
    assert said in answer.text
    assert answer.headers["hx-retarget"] == "#troubles"


def test_a_refused_fill_leaves_a_card(server: Served, fox: str) -> None:
    text = filled(server, fox, prompt="zzrefuse", mask=masked(server))
    assert server.wait(job_of(text)).state == "failed"
    told = server.client.get(f"/ui/i/{fox}/fill/{job_of(text)}", headers=HTMX).text
    assert 'role="alert"' in told
    assert "data-result" not in told


def test_a_picture_from_elsewhere_can_be_filled_too(server: Served, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "photo.png").write_bytes(png(SIDE, SIDE))
    library = server.service.session.library
    library.import_folder(folder, copy=True)
    entry = next(each for each in library.list() if each.source != "limner")
    job = server.wait(job_of(filled(server, entry.id, prompt="a tree", mask=masked(server))))
    assert job.state == "done", job.error
    assert Request.model_validate(job.body).prompt == "a tree"
