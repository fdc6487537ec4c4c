"""SQLite: conversations as the JSON of an answer."""

from abc import ABC, abstractmethod
from uuid import UUID

import orjson

from ..http import wire
from ..model import Conversation, ListFilter, Message


class SqliteJson(ABC):
    """The JSON of the Store protocol; methods as documented there."""

    @abstractmethod
    async def get(self, conversation_id: UUID) -> tuple[Conversation, list[Message]] | None:
        """A conversation and its messages."""

    @abstractmethod
    async def page(self, where: ListFilter, limit: int, offset: int) -> tuple[list[Conversation], int]:
        """Conversations, last changed first, and how many match in all."""

    async def show_json(self, conversation_id: UUID) -> bytes | None:
        found = await self.get(conversation_id)
        return orjson.dumps(wire.conversation(*found)) if found else None

    async def page_json(self, where: ListFilter, limit: int, offset: int) -> tuple[bytes, int]:
        rows, total = await self.page(where, limit, offset)
        return orjson.dumps([wire.list_row(row) for row in rows])[1:-1], total
