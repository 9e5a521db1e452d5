"""``limner models`` and a hub that stands on this machine: search, show, pull, check, rm, lock."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from limner.models.hub.cache import RepoName, cached
from limner.models.links.lock import Lock
from tests.faces.calling import Limner, assert_refused, limner_in, said
from tests.hub_server import HubServer, sha256
from tests.unit.models import tiny

UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "home" / "hub"))
    with HubServer() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        running.add("org/tiny-foxes", tiny.files())
        yield running


@pytest.fixture
def limner(tmp_path: Path, server: HubServer) -> Limner:
    return limner_in(tmp_path / "home")


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Limner:
    """A command line that may not use the network, in a process that cannot."""

    def forbidden(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("the network was touched")

    for name in ("connect", "connect_ex", "sendto", "bind"):
        monkeypatch.setattr(socket.socket, name, forbidden)
    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    monkeypatch.setattr(socket, "create_connection", forbidden)
    return limner_in(tmp_path / "home", LIMNER_OFFLINE="1")


def test_search_asks_catalog_and_hub(limner: Limner, server: HubServer) -> None:
    server.repos["org/tiny-foxes"].downloads = 1234
    server.repos["org/tiny-foxes"].licence = "openrail++"
    server.add("org/gated-foxes", tiny.files()).gated = True
    text = limner("models", "search", "foxes").stdout
    for word in ("org/tiny-foxes", "1,234", "openrail++", "StableDiffusionPipeline", "hub, gated"):
        assert word in text, word
    found = said(limner("models", "search", "turbo", "--json"))
    assert isinstance(found, dict)
    assert {card["name"] for card in found["catalog"]} == {"pocket-turbo", "sd-turbo", "sdxl-turbo", "z-image-turbo"}
    assert found["hub"] == []


def test_search_says_when_the_hub_was_not_asked(limner: Limner, server: HubServer) -> None:
    result = limner("models", "search", "sdxl", "--offline")
    assert "sdxl-turbo" in result.stdout
    assert "the network is forbidden" in result.stderr
    assert server.requests == []
    server._server.server_close()
    server._server.shutdown()
    result = limner("models", "search", "sdxl")
    assert (result.exit_code, "not searched" in result.stderr) == (0, True)
    assert_refused(limner("models", "search", " "), 2, "nothing to search for")


def test_show_reads_the_page_of_a_repo_that_is_not_here(limner: Limner, server: HubServer) -> None:
    server.repos["org/tiny-foxes"].licence = "mit"
    text = limner("models", "show", "org/tiny-foxes").stdout
    for word in (server.repos["org/tiny-foxes"].commit, "mit", "open to all", "sd", "to fetch"):
        assert word in text, word
    assert UNET not in server.fetched()
    server.add("org/pickles", {"model.ckpt": b"\x80\x02."})
    assert "cannot draw with it" in limner("models", "show", "org/pickles").stdout
    assert_refused(limner("models", "show", "org/none"), 3, "no model 'org/none'")
    assert_refused(limner("models", "show", "org/tiny-foxes2", "--offline"), 3, "not on this machine")


def test_pull_fetches_once_and_only_what_is_needed(limner: Limner, server: HubServer) -> None:
    result = limner("models", "pull", "org/tiny-foxes")
    assert result.exit_code == 0, result.stderr
    assert server.repos["org/tiny-foxes"].commit[:10] in result.stdout
    assert "every hash is the hub's" in result.stdout
    assert not any(name.endswith((".bin", ".md")) for name in server.fetched())
    assert "non_ema" not in " ".join(server.fetched())
    server.requests.clear()
    assert "all were here" in limner("models", "pull", "org/tiny-foxes").stdout
    assert server.fetched() == []
    assert "fetched" in limner("models", "list", "--here").stdout


def test_pull_says_what_it_would_fetch(limner: Limner, server: HubServer) -> None:
    found = said(limner("models", "pull", "org/tiny-foxes", "--dry-run", "--json"))
    assert UNET not in server.fetched()
    pulled = said(limner("models", "pull", "org/tiny-foxes", "--json"))
    assert isinstance(found, list)
    assert isinstance(pulled, list)
    assert pulled[0]["files"][UNET] == f"sha256:{sha256(tiny.files()[UNET])}"
    small = sum(len(data) for name, data in tiny.files().items() if name == "model_index.json")
    assert found[0]["fetch_bytes"] in (pulled[0]["fetched_bytes"], pulled[0]["fetched_bytes"] + small)


def test_pull_of_a_cut_download_goes_on(limner: Limner, server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 64)
    server.faults.stop[UNET] = 128
    assert_refused(limner("models", "pull", "org/tiny-foxes"), 3, UNET, "again")
    whole = sum(len(data) for name, data in tiny.files().items() if name.endswith("model.safetensors"))
    found = said(limner("models", "pull", "org/tiny-foxes", "--dry-run", "--json"))
    assert isinstance(found, list)
    assert 0 < found[0]["fetch_bytes"] < whole - 128 + 1
    server.faults.stop.clear()
    assert limner("models", "pull", "org/tiny-foxes").exit_code == 0
    assert ("GET", "bytes=128-") in {(method, found) for method, path, found in server.requests if path.endswith(UNET)}


def test_pull_of_what_needs_no_fetching(limner: Limner, server: HubServer, tmp_path: Path) -> None:
    assert "built in" in limner("models", "pull", "pocket").stdout
    folder = tiny.write(tmp_path / "mine", tiny.files())
    assert "already on this machine" in limner("models", "pull", str(folder)).stdout
    assert server.requests == []


def test_a_gated_model_says_where_to_knock(limner: Limner, server: HubServer) -> None:
    server.add("org/closed", tiny.files(), status=401, error_code="GatedRepo")
    assert_refused(limner("models", "pull", "org/closed"), 3, "https://huggingface.co/org/closed", "hf auth login")
    server.add("org/closed", tiny.files(), status=403, error_code="GatedRepo")
    assert_refused(limner("models", "pull", "org/closed"), 3, "accept its terms")


def test_check_finds_the_damaged_file_and_repairs_it(limner: Limner, server: HubServer) -> None:
    limner("models", "pull", "org/tiny-foxes")
    result = limner("models", "check", "org/tiny-foxes")
    assert (result.exit_code, "intact" in result.stdout) == (0, True)
    there = cached(RepoName("org/tiny-foxes"))
    assert there is not None
    there.files()[UNET].resolve().write_bytes(b"rotten")
    result = limner("models", "check")
    assert result.exit_code == 3
    assert f"damaged: {UNET}" in result.stdout
    assert "limner models check org/tiny-foxes --repair" in result.stderr
    assert "intact" in next(line for line in result.stdout.splitlines() if "pocket" in line) or "well" in result.stdout
    assert limner("models", "check", "org/tiny-foxes", "--repair").exit_code == 0
    assert limner("models", "pull", "org/tiny-foxes").exit_code == 0
    assert limner("models", "check", "org/tiny-foxes").exit_code == 0
    assert server.fetched().count(UNET) == 2


def test_check_of_what_is_not_here(limner: Limner) -> None:
    assert_refused(limner("models", "check", "sdxl"), 3, "limner models pull sdxl")


def test_rm_asks_says_and_frees(limner: Limner, server: HubServer, tmp_path: Path) -> None:
    limner("models", "pull", "org/tiny-foxes")
    assert_refused(limner("models", "rm", "org/tiny-foxes"), 2, "say --yes")
    assert cached(RepoName("org/tiny-foxes")) is not None
    found = said(limner("models", "rm", "org/tiny-foxes", "--yes", "--json"))
    assert isinstance(found, dict)
    assert found["freed_bytes"] > len(tiny.files()[UNET])
    assert cached(RepoName("org/tiny-foxes")) is None
    assert_refused(limner("models", "rm", "org/tiny-foxes", "--yes"), 3, "not on this machine")


def test_rm_never_touches_what_is_yours(limner: Limner, tmp_path: Path) -> None:
    folder = tiny.write(tmp_path / "mine", tiny.files())
    assert_refused(limner("models", "rm", str(folder), "--yes"), 2, "is yours")
    assert_refused(limner("models", "rm", "pocket", "--yes"), 2, "part of Limner")
    assert limner("models", "link", str(folder)).exit_code == 0
    assert_refused(limner("models", "rm", "mine", "--yes"), 2, "unlink")
    assert (folder / UNET).exists()


def test_lock_writes_what_is_here(limner: Limner, server: HubServer, tmp_path: Path) -> None:
    assert_refused(limner("models", "lock", "--out", str(tmp_path / "l")), 2, "no model is on this machine")
    assert_refused(limner("models", "lock", "org/tiny-foxes"), 3, "limner models pull org/tiny-foxes")
    limner("models", "pull", "org/tiny-foxes")
    path = tmp_path / "limner.lock"
    assert limner("models", "lock", "--out", str(path)).stdout.strip() == str(path)
    locked = Lock.read(path).models
    assert [ref.name for ref in locked] == ["org/tiny-foxes"]
    assert locked[0].commit == server.repos["org/tiny-foxes"].commit
    limner("models", "lock", "pocket", "--out", str(path))
    assert [ref.name for ref in Lock.read(path).models] == ["org/tiny-foxes", "pocket"]


def test_offline_no_command_touches_a_socket(offline: Limner, tmp_path: Path) -> None:
    folder = tiny.write(tmp_path / "mine", tiny.files())
    for args in (
        ("models",),
        ("models", "list", "--fits"),
        ("models", "show", "sdxl"),
        ("models", "search", "turbo"),
        ("models", "check"),
        ("models", "check", "pocket"),
        ("models", "link", str(folder)),
        ("models", "link", "--list"),
        ("models", "unlink", str(folder)),
        ("models", "lock", "pocket", "--out", str(tmp_path / "limner.lock")),
        ("models", "pull", "pocket"),
    ):
        result = offline(*args)
        assert result.exit_code == 0, (args, result.stderr)
    for args in (("pull", "sdxl"), ("pull", "org/name"), ("show", "org/name"), ("lock", "sdxl")):
        assert_refused(offline("models", *args), 3, "limner models pull" if args[0] != "pull" else "forbidden")


def test_offline_a_picture_touches_no_socket(offline: Limner, tmp_path: Path) -> None:
    result = offline("a", "red", "fox", "--steps", "1", "--offline", "-o", str(tmp_path / "fox.png"))
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "fox.png").exists()
    assert_refused(offline("a", "fox", "-m", "sdxl", "--offline"), 3, "not on this machine")


def test_drawing_under_a_lock(tmp_path: Path) -> None:
    limner = limner_in(tmp_path / "home", LIMNER_OFFLINE="1")
    path = tmp_path / "limner.lock"
    limner("models", "lock", "pocket", "--out", str(path))
    draw = ("a", "red", "fox", "--steps", "1", "--no-keep", "-o", str(tmp_path / "fox.png"))
    assert limner(*draw, "--lock", str(path)).exit_code == 0
    path.write_text(path.read_text().replace("sha256:", "sha256:00"))
    assert_refused(limner(*draw, "--lock", str(path)), 3, "not the weights of limner.lock", "limner models lock pocket")
    assert limner(*draw).exit_code == 0
    path.rename(tmp_path / "home" / "limner.lock")
    assert_refused(limner(*draw), 3, "not the weights of limner.lock")
    assert_refused(limner(*draw, "--lock", "none.lock"), 2, "there is no lock")


def test_a_hub_whose_name_is_not_found_is_one_line_and_asked_once(
    limner: Limner, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def unknown(host: object, *_args: object, **_kwargs: object) -> None:
        asked.append(host)
        raise socket.gaierror(-2, "Name or service not known")

    for proxy in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy"):
        monkeypatch.delenv(proxy, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.example")
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    result = limner("models", "search", "turbo")
    assert result.exit_code == 0, result.stderr
    assert "sdxl-turbo" in result.stdout
    assert [line for line in result.stderr.splitlines() if line.strip()] == [
        "the hub was not searched: the Hugging Face hub could not be reached for the search: "
        "hub.example is not found from this machine"
    ]
    assert asked == ["hub.example"]
    assert_refused(limner("-m", "org/not-here", "a fox"), 3, "hub.example is not found")
