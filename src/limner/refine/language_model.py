"""Language models that write prompts: any OpenAI-compatible server, or a causal model run here by transformers."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from http.client import HTTPException
from ipaddress import ip_address
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

from limner.errors import InvalidRequest, ModelError, NetworkError, OfflineError
from limner.refine.strategy import Write

KEY = "LIMNER_LLM_KEY"
PATIENCE = 120.0
LARGEST = 2_000_000  # bytes of an answer
TEMPERATURE = 0.9
MOST_TOKENS = 1_000


@dataclass(frozen=True, slots=True)
class Server:
    """A server that speaks OpenAI's chat completions (vLLM, llama.cpp, Ollama, OpenAI ...) under ``url``, which ends
    where ``/chat/completions`` begins. ``key`` is sent as a bearer token and kept nowhere."""

    url: str
    model: str = ""
    key: str = ""

    def __call__(self, text: str) -> str:
        """The answer to one message. Raises ``NetworkError``, ``ModelError``."""
        body: dict[str, object] = {
            "messages": [{"role": "user", "content": text}],
            "temperature": TEMPERATURE,
            "max_tokens": MOST_TOKENS,
        }
        if self.model:
            body["model"] = self.model
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {self.key}"} if self.key else {})}
        asked = HttpRequest(f"{self.url}/chat/completions", json.dumps(body).encode(), headers)  # checked in server()
        return _content(_fetched(asked, self.url), self.url)


def _fetched(asked: HttpRequest, url: str) -> bytes:
    try:
        with urlopen(asked, timeout=PATIENCE) as answer:  # http or https, see server()
            data: bytes = answer.read(LARGEST + 1)
    except HTTPError as error:
        hint = f"set {KEY}" if error.code in (401, 403) else "check the URL and --llm-model"
        raise NetworkError(f"the language model at {url} answered {error.code} {error.reason}", hint=hint) from None
    except (URLError, OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise NetworkError(
            f"the language model at {url} cannot be reached: {reason}", hint="is the server running?"
        ) from None
    if len(data) > LARGEST:
        raise ModelError(f"the language model at {url} answered more than {LARGEST / 1e6:.0f} MB")
    return data


def _content(data: bytes, url: str) -> str:
    try:
        content = json.loads(data)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError):
        raise ModelError(
            f"the language model at {url} answered no chat completion: {data[:60]!r}",
            hint="the URL ends before /chat/completions, as in http://localhost:8000/v1",
        ) from None
    return content if isinstance(content, str) else ""


def server(url: str, model: str = "", *, offline: bool = False) -> Server:
    """The server at a URL. Raises ``InvalidRequest`` for no http URL, and ``OfflineError`` for one beyond this machine
    where the network is forbidden."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidRequest(f"llm: {url!r} is no http URL", field="llm", hint="for example http://localhost:8000/v1")
    if parts.username or parts.password:
        raise InvalidRequest(
            "llm: the URL carries a password, which would be stored", field="llm", hint=f"put a key into {KEY} instead"
        )
    if offline and not _is_here(parts.hostname):
        raise OfflineError(
            f"the language model at {parts.hostname} is beyond this machine, and --offline forbids the network",
            hint="leave --offline out, or run a server here",
        )
    return Server(url.rstrip("/").removesuffix("/chat/completions"), model, os.environ.get(KEY, ""))


def writer(name: str, model: str = "", *, offline: bool = False, seed: int = 0) -> Write:
    """The language model of that name: a URL, a model folder, or a hub repo. Raises ``InvalidRequest``,
    ``ModelError``."""
    if "://" in name:
        return server(name, model, offline=offline)
    from limner.refine.language_model_local import Chat

    return Chat(name, offline=offline, seed=seed)


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
