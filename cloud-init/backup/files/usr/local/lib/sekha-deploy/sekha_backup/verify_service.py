"""The present release's service, started against a restored database on a free port of loopback, and asked.

Its vector index is left out (an address that nobody answers): it is filled from the database, and full-text search asks
the database itself.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import secrets
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from sekha_backup import machine
from sekha_backup.machine import RefusedError

SERVICE = machine.ROOT / "opt/sekha/current/venv/bin/sekha-controller"
FOLDER = machine.ROOT / "run/sekha-verify-service"
HEALTHY_WITHIN, ANSWER_WITHIN = 90.0, 30.0  # seconds
WORD = re.compile(r"(?<![A-Za-z])[A-Za-z]{5,20}(?![A-Za-z])")
LOOK_AT = 20  # newest conversations that a word to search for is looked for in


def config(url: str, port: int, key_hash: str) -> str:
    """config.toml of the throw-away service. Holds no secret: only the key's hash."""
    return (
        f'[server]\nhost = "127.0.0.1"\nport = {port}\nworkers = 1\napi_key_hashes = ["sha256:{key_hash}"]\n'
        f"[database]\nurl = {json.dumps(url)}\nmax_connections = 5\n"
        '[chroma]\nhost = "127.0.0.1"\nport = 1\n'
        '[llm]\nprovider = "builtin"\n[embedding]\nprovider = "builtin"\n[logging]\nlevel = "warn"\n'
    )


def choose_word(texts: list[str]) -> str:
    """The longest plain word of the first text that has one, "" = none. Pure."""
    return next((max(words, key=len) for text in texts if (words := WORD.findall(text))), "")


class Client:
    """Requests with a key to the throw-away service."""

    def __init__(self, port: int, key: str) -> None:
        self.port, self.key = port, key

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """Status and JSON of the answer. Raises OSError."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_WITHIN)
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"{}")
        except (http.client.HTTPException, ValueError) as error:
            raise OSError(f"{method} {path}: {error!r}") from None
        finally:
            connection.close()

    def ok(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The JSON of an answer that must be 200. Raises RefusedError, OSError."""
        status, content = self.request(method, path, body)
        if status != 200:
            raise RefusedError(f"{method} {path} is answered with {status}: {json.dumps(content)[:200]}")
        return content


def ask(url: str, messages: int) -> dict[str, Any]:
    """Start the service against database `url`, read the newest conversations and search for a word of theirs.

    Returns {"conversations": how many it counts, "word_hits": hits of the search, None: no word there}. `messages`:
    rows that the database holds. Raises RefusedError when it does not start, or does not find what is there.
    """
    key = f"sk-sekha-{secrets.token_urlsafe(32)}"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(mode=0o750)
    shutil.chown(FOLDER, "root", "sekha")
    settings, log = FOLDER / "config.toml", FOLDER / "log"
    machine.write(settings, config(url, port, hashlib.sha256(key.encode()).hexdigest()), 0o640)
    shutil.chown(settings, "root", "sekha")
    account = ["setpriv", "--reuid=sekha", "--regid=sekha", "--clear-groups", "--no-new-privs", "env", "-i"]
    account += ["LC_ALL=C.UTF-8", "PATH=/usr/bin:/bin"]
    with log.open("wb") as out:
        server = subprocess.Popen(
            [*account, str(SERVICE), "--config", str(settings)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd="/",
        )
    try:
        client = Client(port, key)
        _wait(server, client, log)
        return _questions(client, messages)
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        shutil.rmtree(FOLDER, ignore_errors=True)


def _wait(server: subprocess.Popen[bytes], client: Client, log: Path) -> None:
    """Until it says that its database is well (its index is not, on purpose)."""
    end, problem = time.monotonic() + HEALTHY_WITHIN, ""
    while server.poll() is None and time.monotonic() < end:
        try:
            status, health = client.request("GET", "/health")
            if status == 200 and health["checks"]["database"]["status"] == "ok":
                return
            problem = f"{status} {json.dumps(health)[:200]}"
        except OSError as error:
            problem = str(error)
        time.sleep(0.3)
    told = log.read_text(errors="replace").strip()[-300:]
    raise RefusedError(f"the service does not serve the restored database: {problem} {told}")


def _questions(client: Client, messages: int) -> dict[str, Any]:
    count = client.ok("GET", "/api/v1/conversations/count")["count"]
    found: dict[str, Any] = {"conversations": count, "word_hits": None}
    if not messages:
        return found
    rows = client.ok("GET", f"/api/v1/conversations?page_size={LOOK_AT}")["results"]
    texts = []
    for row in rows:
        whole = client.ok("GET", f"/api/v1/conversations/{row['id']}")
        if len(whole["messages"]) != row["message_count"]:
            raise RefusedError(
                f"conversation {row['id']} has {len(whole['messages'])} of {row['message_count']} messages"
            )
        texts += [message["content"][:20_000] for message in whole["messages"]]
        if word := choose_word(texts):
            found["word_hits"] = len(client.ok("POST", "/api/v1/search/fts", {"query": word})["results"])
            if not found["word_hits"]:
                raise RefusedError("full-text search does not find a word of a newest conversation")
            break
    return found
