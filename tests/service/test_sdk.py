"""The real Python SDK from PyPI, unmodified, against the service: every call whose endpoint exists."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sekha import MemoryController, SekhaAuthError, SekhaNotFoundError, SekhaValidationError
from sekha.types import ClientConfig
from sekha.unified import create_sekha_client

from tests.service.rig import API_KEY, OTHER_KEY, Service


def _run(service: Service, key: str, calls: Callable[[Any], Awaitable[None]]) -> None:
    async def session() -> None:
        async with MemoryController(ClientConfig(api_key=key, base_url=service.url)) as sdk:
            await calls(sdk)

    asyncio.run(session())


def test_sdk_round_trip(service: Service) -> None:
    async def calls(sdk: Any) -> None:
        body = {
            "label": "SDK",
            "folder": "/sdk",
            "importance_score": 7,
            "messages": [
                {"role": "user", "content": "The rocket flies to the moon", "timestamp": None, "metadata": None}
            ],
        }
        made = await sdk.create_conversation(body)
        address = made["id"]
        assert made["folder"] == "/sdk"
        got = await sdk.get_conversation(address)
        assert got["messages"][0]["content"] == "The rocket flies to the moon"
        page = await sdk.list_conversations(label="SDK")
        assert page["total"] == 1
        assert await sdk.count_conversations(label="SDK") == 1
        await sdk.update_label(address, "SDK2", "/sdk2")
        await sdk.update_folder(address, "/sdk3")
        await sdk.pin_conversation(address)
        await sdk.archive_conversation(address)
        changed = await sdk.get_conversation(address)
        facts = [changed[key] for key in ("label", "folder", "importance_score", "status")]
        assert facts == ["SDK2", "/sdk3", 10, "archived"]
        service.wait_until_indexed()
        found = await sdk.query("spaceflight", limit=1)
        assert found["results"][0]["conversation_id"] == address
        assert (await sdk.full_text_search("rocket"))["total"] == 1
        await sdk.delete_conversation(address)
        with pytest.raises(SekhaNotFoundError):
            await sdk.get_conversation(address)
        with pytest.raises(SekhaValidationError):
            await sdk.create_conversation({"label": "", "messages": []})

    _run(service, API_KEY, calls)


def test_sdk_wrong_key(service: Service) -> None:
    async def call(sdk: Any) -> None:
        with pytest.raises(SekhaAuthError):
            await sdk.create_conversation({"label": "x", "messages": []})

    _run(service, OTHER_KEY, call)


def test_sdk_health(service: Service) -> None:
    async def call() -> None:
        async with create_sekha_client(service.url, API_KEY, service.url) as sdk:
            health = await sdk.health_check()
            assert health["controller"]["status"] == "healthy"
            assert health["bridge"]["status"] == "healthy", "the service answers the bridge's /health too"

    asyncio.run(call())
