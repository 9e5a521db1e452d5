"""Large files of the hub: cut, corrupted, full, and taken up again."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limner.errors import CorruptFile, LimnerError, NetworkError
from limner.models.hashes import Hashes
from limner.models.hub import repo as hub
from limner.models.hub.cache import RepoName, repo_folder
from limner.models.hub.transfer import arrived, once_more_if_stale, part_of
from tests.hub_server import HubServer, sha256

WEIGHTS = "unet/diffusion_pytorch_model.safetensors"
BYTES = b"".join(hashlib.sha256(b"%d" % k).digest() for k in range(4000))  # 128 kB


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 500)  # what a cut can lose
    monkeypatch.setattr("time.sleep", lambda _seconds: None)  # the library waits between retries
    with HubServer() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        running.add("org/big", {WEIGHTS: BYTES, "config.json": b"{}"})
        yield running


def fetch(tmp_path: Path, report: hub.Report | None = None, repo: str = "org/big") -> dict[str, Path]:
    return hub.fetch(hub.look_up(RepoName(repo)), [WEIGHTS, "config.json"], Hashes(tmp_path / "cache"), report)


def ranges(server: HubServer) -> list[str]:
    return [found for method, path, found in server.requests if method == "GET" and path.endswith(WEIGHTS)]


def test_a_download_stopped_for_good_goes_on_where_it_was(server: HubServer, tmp_path: Path) -> None:
    server.faults.stop[WEIGHTS] = 50_000
    with pytest.raises(NetworkError) as caught:
        fetch(tmp_path)
    assert "again" in caught.value.hint
    assert arrived("org/big", sha256(BYTES)) == 50_000
    listing = hub.look_up(RepoName("org/big"))
    assert hub.bytes_to_fetch(listing, [WEIGHTS]) == len(BYTES) - 50_000
    server.faults.stop.clear()
    server.requests.clear()
    seen: list[hub.Progress] = []
    found = fetch(tmp_path, seen.append)
    assert ranges(server) == ["bytes=50000-"]
    assert found[WEIGHTS].read_bytes() == BYTES
    assert (seen[-1].done, seen[-1].total) == (len(BYTES) - 50_000 + 2, len(BYTES) - 50_000 + 2)


def test_ctrl_c_keeps_what_arrived(server: HubServer, tmp_path: Path) -> None:
    def stop(progress: hub.Progress) -> None:
        if progress.done > 1000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(tmp_path, stop)
    assert part_of("org/big", sha256(BYTES)).exists()
    assert fetch(tmp_path)[WEIGHTS].read_bytes() == BYTES


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, len(BYTES)))
def test_wherever_it_is_cut_the_bytes_are_right(server: HubServer, tmp_path: Path, cut: int) -> None:
    repo = f"org/cut{cut}"
    server.add(repo, {WEIGHTS: BYTES, "config.json": b"{}"})
    server.faults.cut[WEIGHTS] = cut
    assert fetch(tmp_path, repo=repo)[WEIGHTS].read_bytes() == BYTES
    server.faults.cut.clear()


def test_a_server_that_ignores_ranges_is_no_harm(server: HubServer, tmp_path: Path) -> None:
    part = part_of("org/big", sha256(BYTES))
    part.parent.mkdir(parents=True)
    part.write_bytes(BYTES[:9999])
    server.faults.whole.add(WEIGHTS)
    assert fetch(tmp_path)[WEIGHTS].read_bytes() == BYTES


@pytest.mark.parametrize("left", [b"x" * 1000, BYTES + b"more", BYTES[:-1] + b"?"])
def test_a_part_that_is_not_the_beginning_never_becomes_the_file(
    server: HubServer, tmp_path: Path, left: bytes
) -> None:
    part = part_of("org/big", sha256(BYTES))
    part.parent.mkdir(parents=True)
    part.write_bytes(left)
    try:
        found = fetch(tmp_path)
    except CorruptFile:
        found = fetch(tmp_path)  # the damaged bytes were taken out: a second run is whole
    assert found[WEIGHTS].read_bytes() == BYTES
    assert not part.exists()


def test_nothing_is_stored_twice(server: HubServer, tmp_path: Path) -> None:
    fetch(tmp_path)
    server.add("org/big", {WEIGHTS: BYTES, "config.json": b'{"new": 1}'})
    server.requests.clear()
    fetch(tmp_path)
    assert ranges(server) == []
    stored = [path for path in repo_folder("org/big").rglob("*") if path.is_file() and not path.is_symlink()]
    assert sum(path.stat().st_size for path in stored if path.parent.name == "blobs") == len(BYTES) + 2 + 10
    assert len(list(repo_folder("org/big").rglob("*.safetensors"))) == 2


def test_a_flipped_byte_leaves_no_part_behind(server: HubServer, tmp_path: Path) -> None:
    server.faults.flip.add(WEIGHTS)
    with pytest.raises(CorruptFile):
        fetch(tmp_path)
    assert arrived("org/big", sha256(BYTES)) == 0
    server.faults.flip.clear()
    assert fetch(tmp_path)[WEIGHTS].read_bytes() == BYTES


def test_a_token_goes_to_the_hub_and_not_to_where_it_points(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with HubServer() as elsewhere:
        elsewhere.add("org/big", {WEIGHTS: BYTES, "config.json": b"{}"})
        server.faults.elsewhere = elsewhere.url
        assert fetch(tmp_path)[WEIGHTS].read_bytes() == BYTES
        assert server.tokens == {"Bearer hf_secret"}
        assert elsewhere.tokens == {""}
        assert ranges(elsewhere)


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (401, "", ("log in", "hf auth login")),
        (403, "GatedRepo", ("gated", "accept")),
        (403, "", ("403",)),
    ],
)
def test_refusals_say_what_to_do(
    server: HubServer, tmp_path: Path, status: int, code: str, words: tuple[str, ...]
) -> None:
    server.add("org/big", {WEIGHTS: BYTES, "config.json": b"{}"}, status=status, error_code=code)
    with pytest.raises(LimnerError) as caught:
        fetch(tmp_path)
    said = f"{caught.value.message} {caught.value.hint}"
    for word in words:
        assert word in said


def test_a_token_that_is_wrong_is_said_to_be(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_expired")
    server.refused_tokens.add("Bearer hf_expired")
    with pytest.raises(NetworkError, match="token") as caught:
        fetch(tmp_path)
    assert "HF_TOKEN" in caught.value.hint


def test_the_page_of_a_repo_is_read(server: HubServer) -> None:
    server.repos["org/big"].licence = "openrail++"
    server.repos["org/big"].gated = True
    listing = hub.look_up(RepoName("org/big"))
    assert (listing.licence, listing.gated) == ("openrail++", True)


def test_two_at_once_share_one_download(server: HubServer, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = [pool.submit(fetch, tmp_path) for _ in range(4)]
    assert {each.result()[WEIGHTS].read_bytes() for each in found} == {BYTES}
    assert ranges(server) == [""]


@pytest.mark.parametrize("evil", ["../../../../escaped", "/tmp/escaped", "A" * 64])
def test_a_hash_that_is_none_names_no_file(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, evil: str
) -> None:
    monkeypatch.setattr("tests.hub_server.sha256", lambda _data: evil)
    with contextlib.suppress(LimnerError):
        fetch(tmp_path)
    assert not [path for path in tmp_path.rglob("*escaped*") if "blobs" not in path.parts]
    assert hub.look_up(RepoName("org/big")).files[WEIGHTS].sha256 is None


def test_a_connection_that_had_gone_stale_is_asked_once_more() -> None:
    said: list[Exception] = [OSError("Server disconnected without sending a response.")]

    def ask() -> str:
        if said:
            raise said.pop()
        return "here"

    assert once_more_if_stale(ask) == "here"
    said += [OSError("Server disconnected without sending a response.")] * 2
    with pytest.raises(OSError, match="disconnected"):
        once_more_if_stale(ask)
    said[:] = [OSError("connection refused")]
    with pytest.raises(OSError, match="refused"):
        once_more_if_stale(ask)
