"""Contract 2.1: the real sekha-mcp from PyPI, unmodified, over stdio, every tool."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.service.database import age
from tests.service.rig import API_KEY, OTHER_KEY, REPO, Service, cache

HERE = REPO / "tests" / "service"
TOOLS = {
    "memory_store", "memory_search", "memory_update", "memory_get_context", "memory_prune", "memory_export",
    "memory_stats",
}  # fmt: skip


@pytest.fixture(scope="session")
def python() -> Path:
    """The interpreter of an environment that holds the locked packages, made once."""
    lock = HERE / "mcp-requirements.txt"
    folder = cache() / "mcp-client" / hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:16]
    interpreter = folder / "bin" / "python"
    if not (folder / ".complete").exists():
        environment = {**os.environ, "UV_NATIVE_TLS": "true"}
        subprocess.run(["uv", "venv", "-q", "--clear", "--python", sys.executable, str(folder)], check=True)
        command = ["uv", "pip", "install", "-q", "--require-hashes", "--python", str(interpreter), "-r", str(lock)]
        subprocess.run(command, check=True, env=environment)
        (folder / ".complete").touch()
    return interpreter


def _session(python: Path, service: Service, folder: Path, calls: list[Any], key: str = API_KEY) -> dict[str, Any]:
    folder.mkdir(exist_ok=True)
    environment = {"PATH": os.environ["PATH"], "CONTROLLER_URL": service.url, "CONTROLLER_API_KEY": key}
    done = subprocess.run(
        [str(python), str(HERE / "mcp_session.py")], input=json.dumps(calls), capture_output=True, text=True,
        cwd=folder, env=environment, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_every_tool(python: Path, service: Service, tmp_path: Path) -> None:
    messages = [
        {"role": "user", "content": "Where do penguins live?"},
        {"role": "assistant", "content": "Penguins live in the Antarctic", "timestamp": "2026-01-01T10:00:00Z"},
    ]
    stored = {"label": "Birds", "folder": "/zoo", "messages": messages, "importance_score": 3.5}
    first = _session(python, service, tmp_path / "a", [["memory_store", stored]])
    assert set(first["tools"]) == TOOLS
    text = first["answers"][0]
    assert "Messages: 2" in text
    it = text.partition("ID: ")[2].split("\n")[0]
    service.wait_until_indexed()
    age(service, it, 100)
    calls: list[Any] = [
        ["memory_search", {"query": "antarctic birds", "limit": 5}],
        ["memory_search", {"query": "antarctic birds", "filter_labels": ["None such"]}],
        ["memory_prune", {"threshold_days": 50}],
        ["memory_get_context", {"conversation_id": it}],
        ["memory_export", {"conversation_id": it, "format": "json"}],
        ["memory_export", {"conversation_id": it, "format": "markdown"}],
        ["memory_stats", {}],
        ["memory_stats", {"folder": "/zoo"}],
        ["memory_update", {"conversation_id": it, "label": "Sea birds", "folder": "/zoo/sea", "importance_score": 7.5}],
        ["memory_get_context", {"conversation_id": "00000000-0000-4000-8000-000000000000"}],
    ]
    answers = _session(python, service, tmp_path / "b", calls)["answers"]
    search, none, prune, context, as_json, markdown, stats, folder, update, unknown = answers
    assert "Birds" in search
    assert "(Score: 0.00)" not in search.partition("1. ")[2][:60], "the similarity is there"
    assert "No matching" in none
    assert all(part in prune for part in ("Birds", it, "100"))
    assert all(part in context for part in ("Birds", "/zoo", "active", "3.5", "Penguins live in the Antarctic"))
    assert "Where do penguins live?" in as_json
    assert "Where do penguins live?" in markdown
    assert "/zoo" in stats
    assert "Total Conversations: 1" in folder
    assert "Average Importance: 3.5/10" in folder
    assert not update.startswith("❌")
    changed = service.client.get(f"/api/v1/conversations/{it}").json()
    assert (changed["label"], changed["folder"], changed["importance_score"]) == ("Sea birds", "/zoo/sea", 7.5)
    assert unknown.startswith("❌")


def test_wrong_key_is_told(python: Path, service: Service, tmp_path: Path) -> None:
    answer = _session(python, service, tmp_path, [["memory_stats", {}]], key=OTHER_KEY)["answers"][0]
    assert answer.startswith("❌")
    assert "401" in answer
