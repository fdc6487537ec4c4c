"""A stand-in for Ollama, an OpenAI-compatible API and sekha-llm-bridge, on loopback, that notes what it is asked."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DIMENSION = 8
WORDS = ("cat", "dog", "car", "train", "tea", "coffee", "sun", "rain")


def vector(text: str) -> list[float]:
    """Says which of WORDS are in the text; never zero, and not of length 1."""
    return [3.0 if word in text.lower() else 0.1 for word in WORDS]


class Provider:
    """All three APIs at one URL. `answer`: what the chat model says; `seconds`: how long it thinks; `broken`: 500s."""

    def __init__(self) -> None:
        self.answer, self.seconds, self.broken, self.most = "A model's answer.", 0.0, False, 10_000
        self.asked: list[tuple[str, dict[str, Any]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                return

            def do_GET(self) -> None:
                self._send(200, {"models": [], "data": [], "status": "healthy"})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append((self.path, body))
                if outer.broken:
                    self._send(500, {"detail": "broken"})
                    return
                status, answer = outer.reply(self.path, body)
                self._send(status, answer)

            def _send(self, status: int, answer: object) -> None:
                content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def last(self) -> dict[str, Any]:
        """The body of the last request to a language model (messages are embedded in the background)."""
        return next(body for path, body in reversed(self.asked) if "embed" not in path)

    def reply(self, path: str, body: dict[str, Any]) -> tuple[int, object]:
        """Status and answer of a POST."""
        if path in ("/api/embed", "/v1/embeddings", "/embed"):
            texts = [body["text"]] if path == "/embed" else body["input"]
            if max(map(len, texts)) > self.most:
                return 400, {"error": "too long"}
            vectors = [vector(text) for text in texts]
            rows = [{"index": i, "embedding": v} for i, v in enumerate(vectors)]
            return 200, {"embeddings": vectors, "data": rows[::-1], "embedding": vectors[0], "model": body["model"]}
        time.sleep(self.seconds)
        if path == "/summarize":
            return 200, {"summary": self.answer, "model": body["model"]}
        if path == "/score":
            return 200, {"score": 9, "reasoning": "vital", "model": body["model"]}
        words = self.answer.split(" ")
        pieces = [word if i == 0 else f" {word}" for i, word in enumerate(words)]
        if path == "/api/chat":
            if body["stream"]:
                lines = [json.dumps({"message": {"content": piece}, "done": False}) for piece in pieces]
                return 200, "\n".join([*lines, json.dumps({"message": {"content": ""}, "done": True})]).encode()
            return 200, {"message": {"content": self.answer}, "prompt_eval_count": 11, "eval_count": 7}
        if path == "/v1/chat/completions":
            if body["stream"]:
                events = [json.dumps({"choices": [{"delta": {"content": piece}}]}) for piece in pieces]
                return 200, "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"]).encode()
            message = {"role": "assistant", "content": self.answer}
            usage = {"prompt_tokens": 11, "completion_tokens": 7}
            return 200, {"choices": [{"message": message}], "usage": usage}
        return 404, {"detail": "Not Found"}
