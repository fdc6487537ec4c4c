"""Calls to the providers of models: JSON over HTTP, bounded; whatever goes wrong is a ProviderAwayError."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson

from .errors import ProviderAwayError

CONNECT_SECONDS = 2.0
_MOST_BYTES = 32 * 2**20  # of an answer


class RefusedError(ProviderAwayError):
    """The provider answers, yet refuses this request (4xx): what was sent is wrong, or too long."""


class Remote:
    """One provider at a base URL."""

    def __init__(self, name: str, base_url: str, api_key: str = "") -> None:
        self._name = name
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._client = httpx.AsyncClient(
            base_url=base_url.rstrip("/"), headers=headers, trust_env=False, limits=httpx.Limits(max_connections=16)
        )

    async def close(self) -> None:
        """Give connections back."""
        await self._client.aclose()

    async def call(self, method: str, path: str, body: object = None, *, seconds: float) -> Any:
        """The JSON of the answer, within `seconds` in all."""
        content = None if body is None else orjson.dumps(body)
        try:
            async with asyncio.timeout(seconds), self._sent(method, path, content, seconds) as response:
                received = b""
                async for chunk in response.aiter_bytes():
                    received += chunk
                    if len(received) > _MOST_BYTES:
                        raise ProviderAwayError(f"{self._name}'s answer is too large")
        except TimeoutError:
            raise ProviderAwayError(f"{self._name} did not answer within {seconds:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._away(error) from None
        self._check(response, received)
        try:
            return orjson.loads(received)
        except orjson.JSONDecodeError:
            raise ProviderAwayError(f"{self._name}'s answer is not JSON") from None

    async def lines(self, path: str, body: object, *, seconds: float) -> AsyncIterator[str]:
        """The lines of a streamed answer, each within `seconds` of the one before."""
        try:
            async with self._sent("POST", path, orjson.dumps(body), seconds) as response:
                if response.status_code >= 400:
                    self._check(response, await response.aread())
                async for line in response.aiter_lines():
                    if line.strip():
                        yield line
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._away(error) from None

    def _sent(self, method: str, path: str, content: bytes | None, seconds: float) -> Any:
        timeout = httpx.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds))
        return self._client.stream(
            method, path, content=content, headers={"Content-Type": "application/json"}, timeout=timeout
        )

    def _away(self, error: Exception) -> ProviderAwayError:
        return ProviderAwayError(f"{self._name} does not answer: {error or type(error).__name__}")

    def _check(self, response: httpx.Response, body: bytes) -> None:
        if response.status_code >= 400:
            kind = RefusedError if response.status_code in (400, 413, 422) else ProviderAwayError
            raise kind(f"{self._name} answered {response.status_code}: {body[:200].decode(errors='replace')}")


def dig(answer: Any, *path: str | int) -> Any:
    """`answer[a][b]...`; ProviderAwayError when the answer isn't made like that."""
    for step in path:
        try:
            answer = answer[step]
        except (LookupError, TypeError):
            raise ProviderAwayError(f"the provider's answer has no {'.'.join(map(str, path))}") from None
    return answer
