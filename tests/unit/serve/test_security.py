"""Who may ask: other sites, other hosts, other machines may not, whichever route they try."""

from __future__ import annotations

import base64
import socket
from collections.abc import Iterator

import httpx
import pytest

from limner.errors import ConfigError
from limner.serve.security import OPEN, Guard, host_of, is_address, is_loopback
from limner.serve.tokens import GUESSES, Tokens, token_of
from tests.serving import Served, live
from tests.unit.serve.routes import routes

TOKEN = "correct-horse-battery"
ORIGINS = (
    "null",
    "http://evil.example",
    "https://evil.example",
    "http://127.0.0.1:1",
    "http://localhost:3000",
    "http://127.0.0.1.evil.example",
    "http://evil.example#127.0.0.1",
    "https://127.0.0.1@evil.example",
    "file://",
    "chrome-extension://abcdefghijklmnop",
    "http://0.0.0.0",
    "",
)
HOSTS = (
    "evil.example",
    "evil.example:7860",
    "127.0.0.1.nip.io",
    "localhost.evil.example",
    "localhost:port",
    "0.0.0.0",
    "192.168.0.1",
    "[::2]",
    "127.1",
    "2130706433",
    "a@127.0.0.1",
    "localhost,evil.example",
    "[::1",
    "",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with live(tmp_path_factory.mktemp("home"), ready=False) as server:
        yield server


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with live(tmp_path_factory.mktemp("guarded"), token=TOKEN, ready=False) as server:
        yield server


def test_there_are_routes_to_be_tried(server: Served) -> None:
    assert len(routes(server.app)) > 20


@pytest.mark.parametrize("origin", ORIGINS)
def test_no_route_answers_another_origin(server: Served, origin: str) -> None:
    for method, path in routes(server.app):
        answer = server.client.request(method, path, headers={"origin": origin})
        assert answer.status_code == 403, (method, path, answer.text)


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_no_route_answers_what_a_page_elsewhere_fetches(server: Served, site: str) -> None:
    for method, path in routes(server.app):
        for mode, kind in (("cors", "empty"), ("no-cors", "image"), ("navigate", "iframe"), ("websocket", "empty")):
            headers = {"sec-fetch-site": site, "sec-fetch-mode": mode, "sec-fetch-dest": kind}
            assert server.client.request(method, path, headers=headers).status_code == 403, (method, path, mode)


def test_a_link_from_elsewhere_opens_a_page_and_posts_nothing(server: Served) -> None:
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert server.client.get("/livez", headers=headers).status_code == 200
    assert server.client.post("/api/v1/jobs", json={"prompt": "x"}, headers=headers).status_code == 403


@pytest.mark.parametrize("host", HOSTS)
def test_no_other_host_is_answered(server: Served, host: str) -> None:
    for method, path in routes(server.app)[:5]:
        answer = server.client.request(method, path, headers={"host": host})
        assert answer.status_code in (400, 421), (host, answer.text)


def test_the_own_origin_and_the_names_of_this_machine_are_answered(server: Served) -> None:
    port = server.url.rpartition(":")[2]
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", "localhost", f"[::1]:{port}", f"LOCALHOST:{port}"):
        headers = {"host": host, "origin": f"http://{host}", "sec-fetch-site": "same-origin"}
        assert server.client.get("/livez", headers=headers).status_code == 200, host


def test_two_hosts_or_two_origins_are_none(server: Served) -> None:
    own = server.url.removeprefix("http://")
    twice = [("host", own), ("origin", server.url), ("origin", server.url)]
    assert server.client.get("/livez", headers=twice).status_code == 403
    raw = f"GET /livez HTTP/1.1\r\nHost: {own}\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    assert b" 400 " in said(server, raw.encode()) or b" 421 " in said(server, raw.encode())


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "image/png"]
)
def test_what_a_form_can_send_is_no_json(server: Served, kind: str) -> None:
    headers = {"content-type": kind} if kind else {}
    answer = server.client.post("/api/v1/jobs", content=b'{"prompt": "x"}', headers=headers)
    assert answer.status_code == 415


def test_every_answer_has_the_headers(server: Served) -> None:
    for path in ("/livez", "/nothing", "/api/v1/jobs/zzz", "/login"):
        answer = server.client.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-request-id"]
        assert "server" not in answer.headers
    refused = server.client.get("/livez", headers={"origin": "null"})
    assert refused.headers["x-content-type-options"] == "nosniff"


def test_a_request_id_is_kept_where_it_is_one(server: Served) -> None:
    assert server.client.get("/livez", headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"
    assert "<" not in server.client.get("/livez", headers={"x-request-id": "<b>"}).headers["x-request-id"]


def test_no_route_works_without_the_token(guarded: Served) -> None:
    for method, path in routes(guarded.app):
        answer = httpx.request(method, guarded.url + path)
        free = path in OPEN or path.startswith("/static/")
        assert (answer.status_code == 401) != free, path


def test_the_token_is_known_by_bearer_basic_and_cookie() -> None:
    tokens = Tokens(TOKEN)
    basic = base64.b64encode(f"anyone:{TOKEN}".encode()).decode()
    assert tokens.known(f"Bearer {TOKEN}", None, "a")
    assert tokens.known(f"basic {basic}", None, "a")
    assert tokens.known(None, f"theme=dark; limner_token={tokens.cookie}", "a")
    for wrong in ("Bearer", "Bearer x", f"Bearer {TOKEN}x", "Basic !!!", TOKEN, "Digest x", "Bearer \udcff"):
        assert not tokens.known(wrong, None, "b")
    assert not tokens.known(None, f"limner_token={TOKEN}", "c")
    assert not tokens.known(None, None, "c")


def test_guessing_is_slowed_down_and_others_are_not() -> None:
    now = [0.0]
    tokens = Tokens(TOKEN, clock=lambda: now[0])
    for _ in range(GUESSES):
        assert tokens.wait("mallory") == 0
        tokens.right("guess", "mallory")
    assert tokens.wait("mallory") > 0
    assert tokens.wait("alice") == 0
    now[0] = 61.0
    assert tokens.wait("mallory") == 0


def test_a_browser_is_shown_the_door_and_let_in(guarded: Served) -> None:
    page = httpx.get(guarded.url, headers={"accept": "text/html"})
    assert (page.status_code, page.headers["location"]) == (303, "/login")
    answer = httpx.post(f"{guarded.url}/login", json={"token": TOKEN})
    cookie = answer.headers["set-cookie"]
    assert answer.status_code == 204
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert TOKEN not in cookie
    headers = {"cookie": cookie.partition(";")[0]}
    assert httpx.get(f"{guarded.url}/api/v1/jobs", headers=headers).status_code == 200


def test_who_guesses_is_not_heard_for_a_while_but_a_cookie_is(guarded: Served) -> None:
    assert httpx.post(f"{guarded.url}/login", json={"token": "wrong"}).status_code == 401
    wrong = {"authorization": "Bearer wrong"}
    assert [httpx.get(f"{guarded.url}/api/v1/jobs", headers=wrong).status_code for _ in range(GUESSES + 1)][-1] == 429
    assert guarded.client.get("/api/v1/jobs").headers["retry-after"]
    tokens = Tokens(TOKEN)
    headers = {"cookie": f"limner_token={tokens.cookie}"}
    assert httpx.get(f"{guarded.url}/api/v1/jobs", headers=headers).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "limner.example"])
def test_other_machines_need_a_token(host: str) -> None:
    with pytest.raises(ConfigError, match="token"):
        Guard.of(host, None)
    guard = Guard.of(host, TOKEN, ["studio.example"])
    assert guard.knows("studio.example:7860")
    assert guard.knows("192.168.7.7:7860")
    assert not guard.knows("evil.example:7860")


def test_hosts_are_read_as_they_are_written() -> None:
    assert host_of("LocalHost:7860") == "localhost"
    assert host_of("localhost.:1") == "localhost"
    assert host_of("[::1]:80") == "::1"
    assert host_of("::1") is None
    assert host_of("a:b") is None
    assert host_of("") is None
    assert not is_address("127.1")
    assert is_loopback("127.0.0.2")
    assert not is_loopback("0.0.0.0")


def test_a_token_is_long_enough_or_made(tmp_path: object) -> None:
    assert len(token_of("new", None) or "") > 20
    with pytest.raises(ConfigError, match="12"):
        token_of("short", None)
    assert token_of(None, None) is None


def said(server: Served, raw: bytes) -> bytes:
    """What a server says to bytes."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(raw)
        found = b""
        while part := connection.recv(65536):
            found += part
    return found
