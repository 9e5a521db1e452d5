"""A local stand-in for an OpenAI-compatible server: answers what a test wrote down, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Answers(ThreadingHTTPServer):
    """Answers in turn, the last one for ever. Bytes are sent as the whole body; a number is a status."""

    def __init__(self, answers: Sequence[str | bytes | int | None]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = list(answers)
        self.asked: list[dict[str, object]] = []
        self.keys: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def message(self, k: int = -1) -> str:
        """The words of a question."""
        messages = self.asked[k]["messages"]
        assert isinstance(messages, list)
        return str(messages[0]["content"])


class _Handler(BaseHTTPRequestHandler):
    server: Answers

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append({"path": self.path, **body})
        self.server.keys.append(self.headers.get("Authorization"))
        answer = self.server.answers[min(len(self.server.asked), len(self.server.answers)) - 1]
        whole = {"choices": [{"message": {"role": "assistant", "content": answer}}]}
        data = answer if isinstance(answer, bytes) else json.dumps(whole).encode()
        self.send_response(answer if isinstance(answer, int) else 200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def answering(*answers: str | bytes | int | None) -> Iterator[Answers]:
    """A server while inside."""
    server = Answers(answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
