"""The native API: ask, follow, order, stop; find, rate, delete and take back."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Iterator

import httpx
import pytest
from PIL import Image

from tests.serving import Served, live, png


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with live(tmp_path_factory.mktemp("home"), most_waiting=1_000) as server:
        yield server


def asked(server: Served, **body: object) -> dict[str, object]:
    answer = server.client.post("/api/v1/jobs", json=body)
    assert answer.status_code == 202, answer.text
    found: dict[str, object] = answer.json()
    return found


def events(server: Served, path: str, **headers: str) -> Iterator[tuple[str, dict[str, object]]]:
    """(name, data) of a stream."""
    with server.client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200
        name = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield name, json.loads(line.removeprefix("data: "))


def test_a_request_becomes_a_job_at_once_and_is_followed_to_its_end(server: Served) -> None:
    job = asked(server, prompt="a red fox zzslow", n=2, steps=3, seed=5)
    assert job["state"] in ("queued", "running")
    found = list(events(server, f"/api/v1/jobs/{job['id']}/events"))
    names = [name for name, _ in found]
    assert names[0] == names[-1] == "state"
    assert names[-2] == "done"
    assert names.count("made") == 2
    last = found[-1][1]
    assert last["state"] == "done"
    assert all(isinstance(each, str) for each in last["pictures"])  # type: ignore[union-attr]
    previews = [str(data["preview"]) for name, data in found if "preview" in data]
    assert Image.open(io.BytesIO(base64.b64decode(previews[0]))).format == "WEBP"


def test_a_job_that_is_over_tells_so_and_ends(server: Served) -> None:
    job = asked(server, prompt="a red fox")
    server.wait(str(job["id"]))
    assert [name for name, _ in events(server, f"/api/v1/jobs/{job['id']}/events")] == ["state"]


def test_who_comes_back_hears_what_was_missed(server: Served) -> None:
    stream = events(server, "/api/v1/events")
    _, hello = next(stream)
    job = asked(server, prompt="a red fox")
    server.wait(str(job["id"]))
    again = events(server, "/api/v1/events", **{"last-event-id": str(hello["seq"])})
    name, data = next(again)
    assert (name, data["reset"]) == ("hello", False)
    heard = []
    for name, data in again:
        heard.append(name)
        if data["job"] == job["id"] and name == "done":
            break
    assert {"queued", "made", "done"} <= set(heard)
    name, data = next(events(server, "/api/v1/events", **{"last-event-id": "7"}))
    assert data["reset"] is True


def test_the_same_key_is_the_same_job_and_another_question_is_refused(server: Served) -> None:
    first, second = (
        server.client.post("/api/v1/jobs", json={"prompt": "a fox", "seed": 1}, headers={"idempotency-key": "one"})
        for _ in range(2)
    )
    assert first.json()["id"] == second.json()["id"]
    other = server.client.post("/api/v1/jobs", json={"prompt": "a cat"}, headers={"idempotency-key": "one"})
    assert other.status_code == 422


def test_order_cancel_and_list(server: Served) -> None:
    running = asked(server, kind="refine", request={"prompt": "a fox zzslow"})
    first, second, third = (asked(server, kind="refine", request={"prompt": f"a fox {k} zzslow"}) for k in "abc")
    moved = server.client.post(f"/api/v1/jobs/{third['id']}/move", json={"before": first["id"]})
    assert moved.status_code == 200, moved.text
    line = server.client.get("/api/v1/jobs", params={"state": "queued"}).json()["jobs"]
    assert [each["id"] for each in line] == [third["id"], first["id"], second["id"]]
    assert [each["place"] for each in line] == [1, 2, 3]
    for each in (second, first, third, running):
        assert server.client.delete(f"/api/v1/jobs/{each['id']}").status_code == 200
        assert server.wait(str(each["id"])).state == "cancelled"
    late = server.client.post(f"/api/v1/jobs/{third['id']}/move", json={})
    assert late.status_code == 422
    page = server.client.get("/api/v1/jobs", params={"limit": 2}).json()
    older = server.client.get("/api/v1/jobs", params={"limit": 2, "before": page["next"]}).json()
    assert not {each["id"] for each in page["jobs"]} & {each["id"] for each in older["jobs"]}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"prompt": "a fox", "model": "nope"}, 422, "unknown_name"),
        ({"prompt": "a fox", "model": "sdxl"}, 409, "offline"),
        ({"prompt": "a fox", "solver": "nope"}, 422, "unknown_name"),
        ({"prompt": "a fox", "init": "sha256:" + "0" * 64}, 404, "picture_not_found"),
        ({"prompt": "a fox", "steps": 0}, 422, "invalid_request"),
        ({"prompt": " "}, 422, "invalid_request"),
        ({"prompt": "a fox", "unknown": 1}, 422, "invalid_request"),
        ({"kind": "nope"}, 422, "invalid_request"),
        ({"kind": "upscale", "picture": "0" * 14}, 404, "picture_not_found"),
        ({"kind": "score", "pictures": ["0" * 14], "metrics": ["nope"]}, 422, "unknown_name"),
        ({"kind": "refine", "request": {"prompt": "a fox"}, "judges": ["nope"]}, 422, "unknown_name"),
        ({"kind": "compare", "arms": [{"request": {"prompt": "a fox"}}]}, 422, "invalid_request"),
        ({"kind": "pull", "name": "../x"}, 422, "invalid_request"),
        ({"kind": "pull", "name": "sdxl"}, 409, "offline"),
        ({"kind": "draw", "request": {"prompt": "a fox"}, "parent": "0" * 14}, 404, "picture_not_found"),
    ],
)
def test_what_cannot_be_done_is_refused_before_it_is_accepted(
    server: Served, body: dict[str, object], status: int, code: str
) -> None:
    answer = server.client.post("/api/v1/jobs", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    assert answer.headers["x-should-retry"] == "false"


def test_every_kind_of_job_is_done(server: Served) -> None:
    picture = server.picture()
    for body in (
        {"kind": "upscale", "picture": picture},
        {"kind": "score", "pictures": [picture]},
        {"kind": "refine", "request": {"prompt": "a fox"}, "images": 40},
        {"kind": "compare", "arms": [{"request": {"prompt": "a fox"}}, {"request": {"prompt": "a cat"}}]},
        {"kind": "draw", "request": {"prompt": "a fox"}, "parent": picture},
    ):
        job = server.wait(str(asked(server, **body)["id"]))
        assert job.state == "done", job.error
    detail = server.client.get(f"/api/v1/pictures/{picture}").json()
    assert len(detail["children"]) == 2
    assert detail["scores"][0]["value"] == 0.5
    child = server.client.get(f"/api/v1/pictures/{detail['children'][0]}").json()
    assert child["ancestors"] == [picture]
    assert child["record"]["prompt"] == "a red fox"


def test_pictures_are_found_page_by_page(server: Served) -> None:
    made = [server.picture(f"a zeppelin {k}") for k in range(5)]
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = server.client.get("/api/v1/pictures", params={"text": "zeppelin", "limit": 2, **cursor}).json()
        assert page["count"] == 5
        seen += [each["id"] for each in page["pictures"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert seen == made[::-1]
    bad = {"cursor": cursor["cursor"], "sort": "rating"}
    assert server.client.get("/api/v1/pictures", params=bad).status_code == 422
    assert server.client.get("/api/v1/pictures", params={"at_least": 0.5}).status_code == 422


def test_rate_delete_and_take_back(server: Served) -> None:
    name = server.picture("a lonely fox")
    assert server.client.post(f"/api/v1/pictures/{name}/rating", json={"rating": 4}).json()["rating"] == 4
    assert server.client.post(f"/api/v1/pictures/{name}/rating", json={"rating": 6}).status_code == 422
    assert server.client.post(f"/api/v1/pictures/{name}/rating", json={"rating": None}).json()["rating"] is None
    assert server.client.delete(f"/api/v1/pictures/{name}").json()["undo"] > 0
    assert server.client.get(f"/api/v1/pictures/{name}").status_code == 404
    found = server.client.get("/api/v1/pictures", params={"text": "lonely"}).json()
    assert found["pictures"] == []
    assert server.client.post(f"/api/v1/pictures/{name}/restore").status_code == 200
    assert server.client.get(f"/api/v1/pictures/{name}/file").status_code == 200


def test_a_deletion_is_done_when_its_time_is_over(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    name = server.picture()
    path = server.service.session.library.get(name).path
    monkeypatch.setattr(server.app.state.shell.doomed, "undo", 0.05)
    server.client.delete(f"/api/v1/pictures/{name}")
    while path.exists():
        time.sleep(0.01)
    assert server.client.post(f"/api/v1/pictures/{name}/restore").status_code == 404


def test_files_and_thumbnails_never_change(server: Served) -> None:
    name = server.picture()
    file = server.client.get(f"/api/v1/pictures/{name}/file")
    assert file.content == server.service.session.library.get(name).path.read_bytes()
    assert "immutable" in file.headers["cache-control"]
    saved = server.client.get(f"/api/v1/pictures/{name}/file", params={"download": True})
    assert saved.headers["content-disposition"] == f'attachment; filename="{name}.png"'
    for size in (256, 512):
        small = server.client.get(f"/api/v1/pictures/{name}/thumbnail", params={"size": size})
        with Image.open(io.BytesIO(small.content)) as image:
            assert image.format == "WEBP"
            assert max(image.size) <= size
    assert server.client.get(f"/api/v1/pictures/{name}/thumbnail", params={"size": 300}).status_code == 422


def test_an_upload_starts_a_picture_and_one_of_ours_is_known(server: Served) -> None:
    sent = server.client.post("/api/v1/inputs", content=png(64, 64), headers={"content-type": "image/png"}).json()
    job = asked(server, prompt="a fox", init=sent["id"], strength=0.5)
    assert server.wait(str(job["id"])).state == "done"
    own = server.picture()
    file = server.client.get(f"/api/v1/pictures/{own}/file").content
    back = server.client.post("/api/v1/inputs", files={"file": ("x.png", file)}).json()
    assert (back["picture"], back["source"]) == (own, "limner")
    assert back["fields"]["prompt"] == "a red fox"


def test_what_it_costs_and_what_is_seen_in_the_words(server: Served) -> None:
    plan = server.client.post("/api/v1/plan", json={"prompt": "a red fox", "n": 2, "seed": 3}).json()["plans"][0]
    assert plan["seeds"] == [3, 4]
    assert plan["estimate"]["peak_bytes"] > 0
    lint = server.client.post("/api/v1/lint", json={"prompt": "a zeppelin"}).json()
    assert lint["unknown"] == ["zeppelin"]
    models = server.client.get("/api/v1/models").json()["models"]
    assert [each["name"] for each in models if each["default"]] == ["pocket"]
    assert {"euler", "dpmpp-2m"} <= {each["name"] for each in server.client.get("/api/v1/solvers").json()}
    assert server.client.get("/api/v1/styles").json()
    assert any(each["here"] for each in server.client.get("/api/v1/metrics").json())


def test_the_counters_count(server: Served) -> None:
    server.picture()
    text = server.client.get("/metrics").text
    assert 'limner_http_requests_total{method="GET",route="/api/v1/pictures/{id}",status="404"}' in text
    assert "limner_worker_ready 1.0" in text
    assert "limner_pictures_total 0.0" not in text


def test_a_full_queue_says_when_to_come_back_and_the_server_goes_on(tmp_path_factory: pytest.TempPathFactory) -> None:
    with live(tmp_path_factory.mktemp("full"), most_waiting=3) as server:
        job = asked(server, prompt="a fox zzslow", n=3, steps=10)
        answers = [server.client.post("/api/v1/jobs", json={"prompt": "a cat"}) for _ in range(30)]
        assert {each.status_code for each in answers} == {429}
        assert all(int(each.headers["retry-after"]) >= 1 for each in answers)
        assert all(each.headers["x-should-retry"] == "true" for each in answers)
        server.client.post(f"/api/v1/jobs/{job['id']}/cancel")
        server.wait(str(job["id"]))
        assert server.wait(str(asked(server, prompt="a cat")["id"])).state == "done"


def test_a_stopping_server_takes_nothing_and_is_not_ready(tmp_path_factory: pytest.TempPathFactory) -> None:
    with live(tmp_path_factory.mktemp("stopping")) as server:
        server.loop.call_soon_threadsafe(server.app.state.shell.close)
        while httpx.get(f"{server.url}/readyz").status_code == 200:
            time.sleep(0.01)
        answer = server.client.post("/api/v1/jobs", json={"prompt": "a fox"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "draining")
        assert server.client.get("/livez").status_code == 200


def test_without_a_worker_it_is_alive_and_not_ready(tmp_path_factory: pytest.TempPathFactory) -> None:
    with live(tmp_path_factory.mktemp("young"), ready=False, environment={"STAND_IN_START": "2"}) as server:
        assert server.client.get("/livez").status_code == 200
        assert server.client.get("/readyz").status_code == 503
        assert asked(server, prompt="a fox")["place"] == 1


def test_a_wrong_value_is_named_as_it_was_sent(server: Served) -> None:
    for body, field in (
        ({"prompt": "a fox", "steps": 0}, "steps"),
        ({"kind": "draw", "request": {"prompt": "a fox", "steps": 0}}, "request.steps"),
        ({"kind": "score", "pictures": []}, "pictures"),
    ):
        assert server.client.post("/api/v1/jobs", json=body).json()["error"]["field"] == field
