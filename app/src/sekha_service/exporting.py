"""Conversations as text: Markdown for people, JSON for programs; in pieces, so that an export needs little memory."""

from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import orjson

from .http import wire
from .model import Conversation, Message
from .store import Store

FORMATS = ("markdown", "json")
_BATCH = 20  # conversations read at once
TITLE = "# Sekha export\n"


def markdown(it: Conversation, messages: Sequence[Message]) -> str:
    """One conversation: its label as heading, facts as bullets, each message under its role."""
    lines = [
        f"\n## {_one_line(it.label)}\n",
        f"- ID: {it.id}",
        f"- Folder: {_one_line(it.folder)}",
        f"- Status: {it.status}",
        f"- Importance: {it.importance_score:g}",
        f"- Created: {wire.moment(it.created_at)}",
    ]
    for message in messages:
        lines += [f"\n### {_one_line(message.role)}\n", message.content]
    return "\n".join(lines) + "\n"


def json(it: Conversation, messages: Sequence[Message]) -> str:
    """One conversation with its messages, pretty-printed."""
    return orjson.dumps(wire.conversation(it, messages), option=orjson.OPT_INDENT_2).decode()


async def pieces(store: Store, ids: Sequence[UUID], form: str) -> AsyncIterator[tuple[str, int]]:
    """The export's text in pieces, each with the number of conversations it adds."""
    yield (TITLE if form == "markdown" else "["), 0
    separator = ""
    for start in range(0, len(ids), _BATCH):
        for conversation, messages in await store.get_many(ids[start : start + _BATCH]):
            text = markdown(conversation, messages) if form == "markdown" else json(conversation, messages)
            yield separator + text, 1
            separator = "" if form == "markdown" else ",\n"
    if form == "json":
        yield "]", 0


def _one_line(text: str) -> str:
    return " ".join(text.split())
