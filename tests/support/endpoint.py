"""A real HTTP server on loopback that misbehaves on command, for the faults of a judge's endpoint."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What the server does with one request: a status, headers, a body, a pause before, or a cut connection."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    pause_seconds: float = 0.0
    is_cut: bool = False


@dataclass(frozen=True)
class Seen:
    """One request as it arrived; `text` is the last message, `count` how often this text has come so far."""

    text: str
    count: int
    body: dict[str, Any]
    headers: dict[str, str]
    path: str
    time: float


def say(text: str | None, finish_reason: str = "stop", **more: Any) -> Answer:
    """A chat completion with this text."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}
    usage = {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107}
    return Answer(
        body={"object": "chat.completion", "model": "judge-2026", "choices": [choice], "usage": usage} | more
    )


class Endpoint:
    """The server's address and what it has seen."""

    def __init__(self, behave: Callable[[Seen], Answer]) -> None:
        self.seen: list[Seen] = []
        self.most_at_once = 0
        self._behave, self._lock, self._open = behave, threading.Lock(), 0
        self._counts: Counter[str] = Counter()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"

    def asked_about(self, part: str) -> list[Seen]:
        """The requests whose text holds a part."""
        return [seen for seen in self.seen if part in seen.text]

    def _note(self, handler: BaseHTTPRequestHandler) -> Seen:
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        text = body["messages"][-1]["content"]
        with self._lock:
            self._open += 1
            self.most_at_once = max(self.most_at_once, self._open)
            self._counts[text] += 1
            seen = Seen(text, self._counts[text], body, dict(handler.headers), handler.path, time.monotonic())
            self.seen.append(seen)
        return seen

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                answer = endpoint._behave(endpoint._note(self))
                time.sleep(answer.pause_seconds)
                with endpoint._lock:
                    endpoint._open -= 1
                if answer.is_cut:
                    self.close_connection = True
                    return
                body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                try:
                    self.send_response(answer.status)
                    for name, value in answer.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass  # the client has given up, or was killed

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


@contextmanager
def serve(behave: Callable[[Seen], Answer]) -> Iterator[Endpoint]:
    """A running endpoint."""
    endpoint = Endpoint(behave)
    thread = threading.Thread(
        target=endpoint.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
    )
    thread.start()
    try:
        yield endpoint
    finally:
        endpoint.server.shutdown()
        endpoint.server.server_close()
