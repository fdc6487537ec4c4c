"""Contract 1.21: every call the real Python SDK makes, beyond the round trip of test_sdk.py."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from sekha import MemoryController, SekhaAPIError, SekhaAuthError, SekhaError
from sekha.client import SyncSekhaClient
from sekha.types import ClientConfig
from sekha.unified import create_sekha_client

from tests.service.providers import Provider
from tests.service.rig import API_KEY, OTHER_KEY, Chroma, Service

UNKNOWN = "00000000-0000-4000-8000-000000000000"


def _controller(service: Service, calls: Callable[[Any], Awaitable[None]]) -> None:
    async def session() -> None:
        async with MemoryController(ClientConfig(api_key=API_KEY, base_url=service.url)) as sdk:
            await calls(sdk)

    asyncio.run(session())


def _unified(service: Service, calls: Callable[[Any], Awaitable[None]], key: str = API_KEY) -> None:
    async def session() -> None:
        async with create_sekha_client(service.url, key, service.url, bridge_api_key=key, max_retries=1) as sdk:
            await calls(sdk)

    asyncio.run(session())


@pytest.fixture(scope="module")
def stored(service: Service) -> str:
    texts = ("Sourdough bread needs a warm oven, flour and salt", "How warm must the sourdough oven be?")
    it = str(service.create("Baking", *texts, folder="/kitchen")["id"])
    service.wait_until_indexed()
    return it


def test_memory_calls(service: Service, stored: str) -> None:
    async def calls(sdk: Any) -> None:
        assert (await sdk.smart_query("baking bread"))["results"][0]["conversation_id"] == stored
        context = await sdk.assemble_context("baking bread", preferred_labels=["Baking"])
        assert context["messages"][0]["conversation_id"] == stored
        assert context["conversations_used"] == 1
        summary = await sdk.summarize(stored, level="weekly")
        assert "ourdough" in summary["summary"]
        assert (await sdk.generate_summary(stored))["level"] == "daily"
        assert (await sdk.prune_dry_run())["suggestions"] == []
        assert (await sdk.get_pruning_suggestions(threshold_days=0))["total"] == 1
        exported = await sdk.export(label="Baking", format="json")
        assert [row["id"] for row in json.loads(exported)] == [stored]
        assert "## Baking" in await sdk.export()
        message = (await sdk.get_conversation(stored))["messages"][1]["id"]
        assert (await sdk.score_message_importance(message))["score"] == 5.5
        assert len(await sdk.get_mcp_tools()) == 7
        await sdk.rebuild_embeddings()

    _controller(service, calls)


def test_labels_keep_the_folder(service: Service) -> None:
    service.create("Gardening")
    it = service.create("untitled", "Gardening: gardening tips about roses", folder="/home/plants")["id"]

    async def calls(sdk: Any) -> None:
        assert (await sdk.suggest_labels(it))["suggestions"][0]["label"] == "Gardening"
        assert await sdk.auto_label(it) == "Gardening"

    _controller(service, calls)
    changed = service.client.get(f"/api/v1/conversations/{it}").json()
    assert (changed["label"], changed["folder"]) == ("Gardening", "/home/plants")


def test_prune_execute_and_quiet_count(service: Service) -> None:
    it = service.create("done with")["id"]

    async def calls(sdk: Any) -> None:
        await sdk.prune_execute([it])
        assert (await sdk.get_conversation(it))["status"] == "archived"
        assert await sdk.count_conversations(label="done with", folder="/") == 0, "both at once count nothing"

    _controller(service, calls)


def test_failures_are_plain_errors_naming_the_status(service: Service) -> None:
    async def calls(sdk: Any) -> None:
        for call, status in (
            (sdk.summarize(UNKNOWN), "404"), (sdk.suggest_labels(UNKNOWN), "404"), (sdk.export(format="pdf"), "400"),
        ):  # fmt: skip
            with pytest.raises(SekhaError, match=status):
                await call

    _controller(service, calls)


def test_mcp_calls(service: Service, stored: str) -> None:
    async def calls(sdk: Any) -> None:
        stats = await sdk.mcp.memory_stats({"labels": ["Baking"]})
        assert (stats["total_conversations"], stats["label_distribution"]) == (1, {"Baking": 1})
        assert (await sdk.mcp.memory_stats({}))["total_tokens"] > 0
        for found in (
            await sdk.mcp.memory_search("warm oven", limit=1, labels=["Baking"]),
            await sdk.mcp.memory_search({"query": "warm oven", "labels": ["Baking"], "limit": 1}),
        ):
            row = found["results"][0]
            assert row["label"] == "Baking"
            assert "oven" in row["content"]
            assert row["score"] > 0.3

    _unified(service, calls)

    async def refused(sdk: Any) -> None:
        with pytest.raises(SekhaAuthError):
            await sdk.mcp.memory_stats({})

    _unified(service, refused, OTHER_KEY)


def test_bridge_calls_without_a_model(service: Service) -> None:
    async def calls(sdk: Any) -> None:
        assert (await sdk.bridge.embed("hello"))["dimension"] == 384
        assert (await sdk.bridge.health())["status"] == "healthy"
        with pytest.raises(SekhaAPIError, match=r"llm\.provider"):
            await sdk.bridge.complete([{"role": "user", "content": "hi"}])

    _unified(service, calls)


@pytest.fixture(scope="module")
def chatty(tmp_path_factory: pytest.TempPathFactory, chroma: Chroma) -> Iterator[Service]:
    """A service with a chat model."""
    provider, folder = Provider(), tmp_path_factory.mktemp("chatty")
    url = f"sqlite://{folder / 'sekha.db'}"
    it = Service(folder, url, chroma.port, f'[llm]\nprovider = "ollama"\nbase_url = "{provider.url}"\n')
    it.start()
    yield it
    it.stop()
    provider.close()


def test_completing_with_context(chatty: Service) -> None:
    async def calls(sdk: Any) -> None:
        messages = [{"role": "user", "content": "My cat is called Tom"}]
        await sdk.store_and_query(messages, "cat", label="Cats")
        await asyncio.to_thread(chatty.wait_until_indexed)
        done = await sdk.complete_with_context("What is my cat called?", "cat")
        assert done["choices"][0]["message"]["content"] == "A model's answer."
        assert done["context"]["messages"][0]["content"] == "My cat is called Tom"
        chunks = [chunk async for chunk in sdk.stream_with_context("What is my cat called?", "cat")]
        text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
        assert text == "A model's answer."

    _unified(chatty, calls)


def test_sync_client(service: Service, stored: str) -> None:
    with SyncSekhaClient(ClientConfig(api_key=API_KEY, base_url=service.url)) as sdk:
        assert sdk.get_conversation(stored)["label"] == "Baking"
