"""Contract 3: language models and embedders of each provider, and the service playing the bridge itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.service.database import execute
from tests.service.providers import DIMENSION, Provider
from tests.service.rig import Chroma, Service
from tests.support import wait_for

PROVIDERS = ("ollama", "openai", "bridge")
CHAT_PATH = "/v1/chat/completions"
CHAT = {"messages": [{"role": "user", "content": "Hello?"}]}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    it = Provider()
    yield it
    it.close()


@pytest.fixture(scope="module", params=PROVIDERS)
def modelled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, provider: Provider, chroma: Chroma
) -> Iterator[Service]:
    """A service whose chat model and embedder both are the provider's."""
    name, folder = request.param, tmp_path_factory.mktemp("models")
    it = Service(
        folder,
        f"sqlite://{folder / 'sekha.db'}",
        chroma.port,
        f'[rate_limiting]\nenabled = false\n[llm]\nprovider = "{name}"\nbase_url = "{provider.url}"\nmodel = "m1"\n'
        f'[llm_bridge]\nurl = "{provider.url}"\n'
        f'[embedding]\nprovider = "{name}"\nmodel = "e1"\ndimension = {DIMENSION}\n',
    )
    it.start()
    yield it
    it.stop()


@pytest.fixture(autouse=True)
def well(provider: Provider) -> None:
    provider.answer, provider.seconds, provider.broken = "A model's answer.", 0.0, False


def _post(service: Service, path: str, body: object, status: int = 200) -> dict[str, Any]:
    response = service.client.post(path, json=body)
    assert response.status_code == status, response.text
    return dict(response.json())


def test_summary_by_the_model(modelled: Service, provider: Provider) -> None:
    it = modelled.create("s", "We met and decided to use trains.")["id"]
    body = _post(modelled, "/api/v1/summarize", {"conversation_id": it, "level": "weekly"})
    assert (body["summary"], body["model"], body["message_count"]) == ("A model's answer.", "m1", 1)
    assert "decided to use trains" in json.dumps(provider.last)
    assert provider.last["model"] == "m1"


def test_extractive_when_the_model_fails(modelled: Service, provider: Provider) -> None:
    it = modelled.create("s", "We met and decided to use trains.")
    provider.broken = True
    body = _post(modelled, "/api/v1/summarize", {"conversation_id": it["id"]})
    assert (body["summary"], body["model"]) == ("We met and decided to use trains.", "builtin")
    assert _post(modelled, "/api/v1/labels/suggest", {"conversation_id": it["id"]})["suggestions"]
    message = modelled.client.get(f"/api/v1/conversations/{it['id']}").json()["messages"][0]["id"]
    assert _post(modelled, "/api/v1/messages/score", {"message_id": message})["score"] == 5
    assert "error" in _post(modelled, "/v1/chat/completions", CHAT, 503)


def test_score_is_mixed(modelled: Service, provider: Provider) -> None:
    provider.answer = "9 because it is vital"
    it = modelled.create("s", "hello")["id"]
    message = modelled.client.get(f"/api/v1/conversations/{it}").json()["messages"][0]["id"]
    body = _post(modelled, "/api/v1/messages/score", {"message_id": message})
    assert body["score"] == pytest.approx(0.3 * 5 + 0.7 * 9)
    assert body["factors"]["llm"] == 9
    assert "vital" in body["reasoning"]


def test_labels_by_the_model(modelled: Service, provider: Provider) -> None:
    provider.answer = '1. Trains, "Holiday plans"\n- trains'
    modelled.create("Holiday Plans")
    it = modelled.create("x", "We go by train.", folder="/f")["id"]
    rows = _post(modelled, "/api/v1/labels/suggest", {"conversation_id": it})["suggestions"]
    assert [(row["label"], row["confidence"], row["folder"]) for row in rows] == [
        ("Holiday Plans", 0.9, "/f"), ("Trains", 0.6, "/f"),
    ]  # fmt: skip


def test_chat(modelled: Service, provider: Provider) -> None:
    body = _post(modelled, "/v1/chat/completions", {**CHAT, "temperature": 0.1, "max_tokens": 5, "model": "other"})
    assert body["choices"][0]["message"] == {"role": "assistant", "content": "A model's answer."}
    assert body["usage"] == {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    assert (body["object"], body["model"], body["choices"][0]["finish_reason"]) == ("chat.completion", "other", "stop")
    assert provider.last["model"] == "other"


def test_chat_streams(modelled: Service) -> None:
    response = modelled.client.post("/api/v1/chat/completions", json={**CHAT, "stream": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    lines = [line for line in response.text.split("\n") if line]
    assert lines[-1] == "data: [DONE]"
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == "A model's answer."
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}


def test_embeds_and_searches_with_its_model(modelled: Service, provider: Provider) -> None:
    it = modelled.create("pets", "The dog barks", "Tea with milk", "x" * 900)["id"]
    modelled.wait_until_indexed()
    assert [hit["content"] for hit in modelled.query("my dog", limit=1)] == ["The dog barks"]
    rows = execute(
        modelled,
        "SELECT e.model, e.dim, e.vector FROM embeddings e JOIN messages m ON m.id = e.message_id "
        "WHERE m.conversation_id = ? ORDER BY m.seq",
        it,
    )
    assert [(model, dim) for model, dim, _ in rows] == [("e1", DIMENSION)] * 3
    assert np.linalg.norm(np.frombuffer(rows[0][2], dtype="<f4")) == pytest.approx(1)
    body = _post(modelled, "/embed", {"text": "a cat", "model": None})
    assert (body["model"], body["dimension"], len(body["embedding"])) == ("e1", DIMENSION, DIMENSION)


def test_away_embedder_waits_and_never_changes(modelled: Service, provider: Provider) -> None:
    provider.broken = True
    it = modelled.create("later", "Quokkas smile in the rain")["id"]
    hit = modelled.query("quokkas")[0]
    assert hit["conversation_id"] == it, "by words meanwhile"
    assert modelled.client.post("/embed", json={"text": "unheard"}).status_code == 503
    wait_for(
        lambda: "the embedder is away" in modelled.log.read_text(), 20, "the feeder notes it, without a stack trace"
    )
    assert "Traceback" not in modelled.log.read_text()
    provider.broken = False
    modelled.wait_until_indexed()
    found = modelled.client.get(f"/api/v1/conversations/{it}").json()["messages"][0]
    assert found["embedding_id"] == found["id"]


def test_too_long_texts_are_shortened_not_stuck(modelled: Service, provider: Provider) -> None:
    provider.most = 500
    try:
        it = modelled.create("long", "sun " * 1000, "short rain")["id"]
        modelled.wait_until_indexed()
        assert modelled.query("sun", {"conversation_id": it})[0]["score"] > 0.9
    finally:
        provider.most = 10_000


def test_health_names_the_provider_when_away(folder: Path, chroma: Chroma) -> None:
    settings = '[llm]\nprovider = "ollama"\nbase_url = "http://127.0.0.1:9"\n'
    it = Service(folder, f"sqlite://{folder / 'away.db'}", chroma.port, settings)
    it.start()
    try:
        body = it.client.get("/health").json()
        assert (body["status"], body["checks"]["llm_bridge"]["status"]) == ("degraded", "error")
        made = it.create("s", "Only this sentence.")["id"]
        assert _post(it, "/api/v1/summarize", {"conversation_id": made})["model"] == "builtin"
    finally:
        it.stop()


def test_switched_off(tmp_path: Path, chroma: Chroma) -> None:
    settings = "[features]\nsummarization_enabled = false\npruning_enabled = false\nlabel_suggestions = false\n"
    it = Service(tmp_path, f"sqlite://{tmp_path / 'off.db'}", chroma.port, settings)
    it.start()
    try:
        made = it.create("s", "Some text.")["id"]
        assert (
            "features.summarization_enabled" in _post(it, "/api/v1/summarize", {"conversation_id": made}, 503)["error"]
        )
        assert _post(it, "/api/v1/prune/dry-run", {"threshold_days": 0})["suggestions"] == []
        assert _post(it, "/api/v1/labels/suggest", {"conversation_id": made})["suggestions"] == []
    finally:
        it.stop()


@pytest.mark.parametrize("path", ["/embed", "/embeddings", "/api/v1/embed"])
def test_plays_the_bridge_embedding(service: Service, path: str) -> None:
    body = _post(service, path, {"text": "hello there"})
    assert (body["model"], body["dimension"], len(body["embedding"])) == ("all-MiniLM-L6-v2", 384, 384)
    assert body["tokens_used"] == 2


def test_plays_the_bridge_without_a_model(service: Service) -> None:
    for stream in (False, True):
        error = _post(service, "/v1/chat/completions", {**CHAT, "stream": stream}, 503)["error"]
        assert "llm.provider" in error
    body = _post(service, "/summarize", {"messages": ["One fact.", "Another fact."], "level": "daily"})
    expected = {"summary": "One fact. Another fact.", "model": "builtin", "level": "daily", "message_count": 2}
    assert {key: body[key] for key in expected} == expected
    assert _post(service, "/summarize", {"messages": []})["summary"] == "No messages to summarize"
    assert _post(service, "/score", {"conversation": "urgent?"}) == {
        "score": 6.5, "reasoning": "Starts at 5: question +0.5, keywords +1.", "model": "builtin",
    }  # fmt: skip
    text = "Ada Lovelace wrote to Babbage Engines Ltd about numpy_array and HTTP caching. Caching matters."
    entities = _post(service, "/extract", {"text": text})["entities"]
    assert (entities["people"], entities["organizations"]) == (["Ada Lovelace"], ["Babbage Engines Ltd"])
    assert entities["technical_terms"] == ["numpy_array", "HTTP"]
    assert entities["concepts"][0] == "caching"
    assert service.client.get("/api/v1/models").json()[0]["dimension"] == 384


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/embed", {}), ("/embed", {"text": ""}), ("/summarize", {}), ("/summarize", {"messages": ["x"], "level": "y"}),
        ("/score", {}), ("/extract", {"text": 5}), (CHAT_PATH, {}), (CHAT_PATH, {"messages": []}),
        (CHAT_PATH, {"messages": [{"role": "user"}]}), (CHAT_PATH, {**CHAT, "temperature": 3}),
        (CHAT_PATH, {**CHAT, "max_tokens": 0}),
    ],
)  # fmt: skip
def test_bridge_calls_refuse(service: Service, path: str, body: object) -> None:
    assert _post(service, path, body, 400)["code"] == 400
