"""A small server that speaks the parts of the hub's protocol that downloads use, with faults to order.

``with HubServer() as hub: hub.add("org/name", {"unet/config.json": b"..."})``; then set ``HF_ENDPOINT`` to ``hub.url``.
Files ending in .safetensors, .bin or .msgpack are served as large files (sha256 names), the rest as git blobs, as the
hub does.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

LARGE = (".safetensors", ".bin", ".msgpack")


@dataclass
class Repo:
    files: dict[str, bytes]
    commit: str
    status: int = 200  # 401 or 403 for a gated repo, 500 for a broken hub
    error_code: str = ""
    gated: bool = False
    licence: str = ""
    pipeline: str = "StableDiffusionPipeline"
    downloads: int = 0


@dataclass
class Faults:
    """``cut``: name to bytes sent before the connection drops, once; ``stop``: bytes of a file that are ever sent.
    ``flip``: names served with one byte changed. ``whole``: names served from the beginning whatever range was asked
    for. ``elsewhere``: where large files are to be fetched from instead."""

    cut: dict[str, int] = field(default_factory=dict)
    stop: dict[str, int] = field(default_factory=dict)
    flip: set[str] = field(default_factory=set)
    whole: set[str] = field(default_factory=set)
    elsewhere: str = ""


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def git_blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class HubServer:
    """Listens on 127.0.0.1 while inside ``with``. ``requests`` lists (method, path, range) as they came, ``tokens``
    what they were authorised with; ``refused_tokens`` are answered as the hub answers wrong ones."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.commits: dict[tuple[str, str], Repo] = {}
        self.faults = Faults()
        self.requests: list[tuple[str, str, str]] = []
        self.tokens: set[str] = set()
        self.refused_tokens: set[str] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def add(self, repo: str, files: dict[str, bytes], *, status: int = 200, error_code: str = "") -> Repo:
        text = json.dumps({name: sha256(data) for name, data in sorted(files.items())})
        self.repos[repo] = Repo(files, hashlib.sha1(text.encode()).hexdigest(), status, error_code)
        self.commits[repo, self.repos[repo].commit] = self.repos[repo]
        return self.repos[repo]

    def fetched(self) -> list[str]:
        """Names of files whose bytes were asked for."""
        found = [
            re.fullmatch(r"/[^/]+/[^/]+/resolve/[^/]+/(.+)", path)
            for method, path, _ in self.requests
            if method == "GET"
        ]
        return [match[1] for match in found if match]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def _page(name: str, repo: Repo) -> dict[str, object]:
    """What the hub's API says of a repo besides its files."""
    tags = ["diffusers", f"diffusers:{repo.pipeline}", *([f"license:{repo.licence}"] if repo.licence else [])]
    page: dict[str, object] = {"id": name, "modelId": name, "sha": repo.commit, "private": False, "likes": 0}
    more = {"gated": "auto" if repo.gated else False, "tags": tags, "downloads": repo.downloads}
    return page | more | {"pipeline_tag": "text-to-image", "library_name": "diffusers"}


def _handler(hub: HubServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_args: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def _answer(self) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.requests.append((self.command, path, self.headers.get("Range", "")))
            token = self.headers.get("Authorization", "")
            hub.tokens.add(token)
            if token in hub.refused_tokens:
                self._send(401, b"", {"X-Error-Message": "Invalid credentials in Authorization header"})
            elif path == "/api/models":
                self._search()
            elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
                self._info(match[1], match[2] or "main")
            elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
                self._file(match[1], match[2], match[3])
            else:
                self._send(404, b"", {})

        def _repo(self, name: str, revision: str) -> Repo | None:
            repo = hub.commits.get((name, revision)) or hub.repos.get(name)
            if repo is None:  # the hub answers 401 to strangers, so as not to tell what exists
                self._send(401, b"", {"X-Error-Code": "RepoNotFound"})
            elif repo.status != 200:
                self._send(repo.status, b"", {"X-Error-Code": repo.error_code} if repo.error_code else {})
            elif revision not in ("main", repo.commit):
                self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
            else:
                return repo
            return None

        def _info(self, name: str, revision: str) -> None:
            repo = self._repo(name, revision)
            if repo is None:
                return
            siblings = []
            for file, data in repo.files.items():
                entry: dict[str, object] = {"rfilename": file, "size": len(data), "blobId": git_blob(data)}
                if file.endswith(LARGE):
                    entry["lfs"] = {"sha256": sha256(data), "size": len(data), "pointerSize": 134}
                siblings.append(entry)
            body = json.dumps({**_page(name, repo), "siblings": siblings}).encode()
            self._send(200, body, {"Content-Type": "application/json"})

        def _search(self) -> None:
            asked = parse_qs(urlsplit(self.path).query)
            words = asked.get("search", [""])[0].lower()
            found = [_page(name, repo) for name, repo in hub.repos.items() if words in name.lower()]
            body = json.dumps(found[: int(asked.get("limit", ["1000"])[0])]).encode()
            self._send(200, body, {"Content-Type": "application/json"})

        def _file(self, name: str, revision: str, file: str) -> None:
            repo = self._repo(name, revision)
            if repo is None:
                return
            data = repo.files.get(file)
            if data is None:
                self._send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": repo.commit})
                return
            etag = sha256(data) if file.endswith(LARGE) else git_blob(data)
            headers = {"X-Repo-Commit": repo.commit, "ETag": f'"{etag}"', "Accept-Ranges": "bytes"}
            if file.endswith(LARGE):
                headers |= {"X-Linked-Etag": f'"{etag}"', "X-Linked-Size": str(len(data))}
            if hub.faults.elsewhere and file.endswith(LARGE):
                away = {**headers, "Location": hub.faults.elsewhere + self.path}
                self._send(302, b"", away)
                return
            if file in hub.faults.flip:
                data = data[:-1] + bytes([data[-1] ^ 1])
            self._bytes(file, data, headers)

        def _bytes(self, file: str, data: bytes, headers: dict[str, str]) -> None:
            start, status = 0, 200
            match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            if match and file not in hub.faults.whole:
                start, status = int(match[1]), 206
                headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            cut = hub.faults.cut.pop(file, None) if self.command == "GET" else None
            if cut is None and file in hub.faults.stop:
                cut = max(hub.faults.stop[file] - start, 0)
            self._send(status, data[start:], headers, cut)

        def _send(self, status: int, body: bytes, headers: dict[str, str], cut: int | None = None) -> None:
            self.send_response(status)
            for key, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body if cut is None else body[:cut])
            if cut is not None:
                self.close_connection = True

    return Handler
