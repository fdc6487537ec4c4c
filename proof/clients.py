"""`make proof-clients`: curl and the unmodified `sekha` SDK against the printed URL with the printed key."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from ops.engine import LOCAL, OperatorError
from ops.local import engine_of
from ops.show import json_line, table

SEARCHABLE_WITHIN = 5.0
"""Seconds after which a new message must be found by its meaning (API contract 1.1)."""

CONVERSATION = {
    "label": "proof",
    "folder": "/proof",
    "messages": [
        {"role": "user", "content": "Which beans should I buy for a dark roast?"},
        {"role": "assistant", "content": "Sumatran beans make a heavy dark roast with little acidity."},
    ],
}
QUESTION = "what coffee do I like"


def curl(url: str, ca_file: str | None, key: str | None, path: str) -> tuple[int, str]:
    """Status code and body of GET `path`. The key goes through a config file, never through curl's arguments."""
    arguments = ["curl", "-sS", "-m", "20", "-w", "\n%{http_code}", *(["--cacert", ca_file] if ca_file else [])]
    with tempfile.NamedTemporaryFile("w", suffix=".curl") as config:
        if key:
            config.write(f'header = "Authorization: Bearer {key}"\n')
        config.flush()
        result = subprocess.run(
            [*arguments, "-K", config.name, url + path], text=True, capture_output=True, check=False
        )
    if result.returncode != 0:
        return 0, result.stderr.strip()
    body, _, status = result.stdout.rpartition("\n")
    return int(status), body


async def sdk_calls(url: str, key: str) -> list[tuple[str, str, float]]:
    """(call, outcome, seconds) of create, get, list, query and delete by the real SDK."""
    from sekha import MemoryController
    from sekha.types import ClientConfig

    rows: list[tuple[str, str, float]] = []

    async def timed(name: str, call: Callable[[], Awaitable[Any]], outcome: Callable[[Any], str]) -> Any:
        started = time.monotonic()
        answer = await call()
        rows.append((f"sdk {name}", outcome(answer), time.monotonic() - started))
        return answer

    async with MemoryController(ClientConfig(api_key=key, base_url=url)) as sekha:
        made = await timed(
            "create_conversation", lambda: sekha.create_conversation(CONVERSATION), lambda a: a["status"]
        )
        identity = made["id"]
        try:
            await timed("get_conversation", lambda: sekha.get_conversation(identity),
                        lambda a: f"{len(a['messages'])} messages")  # fmt: skip
            await timed("list_conversations", lambda: sekha.list_conversations(folder="/proof"),
                        lambda a: f"{a['total']} of folder /proof")  # fmt: skip

            async def found() -> dict[str, Any]:
                end = time.monotonic() + SEARCHABLE_WITHIN
                while True:
                    answer: dict[str, Any] = await sekha.query(QUESTION, limit=10)
                    hits = [hit for hit in answer["results"] if hit["conversation_id"] == identity]
                    if hits and hits[0]["score"] > 0:
                        return dict(hits[0])
                    if time.monotonic() > end:
                        raise OperatorError(
                            f"query {QUESTION!r} did not find the new conversation in {SEARCHABLE_WITHIN:g} s"
                        )
                    await asyncio.sleep(0.2)

            await timed("query", found, lambda hit: f"score {hit['score']:.2f}: {hit['content'][:40]}")
        finally:
            await timed("delete_conversation", lambda: sekha.delete_conversation(identity), lambda _: "deleted")
    return rows


def main() -> int:
    """Run all calls against the local stack; 1 when one of them fails."""
    outputs = engine_of(LOCAL).outputs()
    url, key, ca_file = outputs["url"], outputs["apiKey"], outputs.get("caFile")
    if ca_file:
        os.environ["SSL_CERT_FILE"] = str(Path(ca_file))
    rows: list[tuple[str, str, float]] = []
    failed = []
    for path, with_key, expected in (
        ("/health", False, 200),
        ("/api/v1/conversations", True, 200),
        ("/api/v1/conversations", False, 401),
        ("/metrics", False, 403),
    ):
        started = time.monotonic()
        status, body = curl(url, ca_file, key if with_key else None, path)
        name = f"curl {path}{'' if with_key else ' (no key)'}"
        detail = json.loads(body)["status"] if path == "/health" and status == expected else ""
        rows.append((name, f"{status} {detail}".strip(), time.monotonic() - started))
        if status != expected:
            failed.append(f"{name}: expected {expected}, got {status} {body[:200]}")
    try:
        rows += asyncio.run(sdk_calls(url, key))
    except Exception as error:
        failed.append(f"SDK: {type(error).__name__}: {error}")
    print(table(["call", "outcome", "ms"], [(name, outcome, round(seconds * 1000)) for name, outcome, seconds in rows]))
    for line in failed:
        print(f"FAILED {line}", file=sys.stderr)
    json_line({"calls": {name: outcome for name, outcome, _ in rows}, "failed": failed})
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
