"""PostgreSQL writes the JSON of answers itself: it says what http/wire.py makes of the same rows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import orjson
import pytest
from sekha_service.http import wire
from sekha_service.model import Changes, ListFilter, NewConversation, NewMessage
from sekha_service.store.database import migrate_schema
from sekha_service.store.postgres import PostgresStore

from tests.service.rig import Postgres

HOSTILE = 'quote " back \\ tab \t line \n \r bell \x07 %s %(x)s {brace} é 漢 \U0001f600 \u2028 </script> \x7f \x80'
EARLIEST, LATEST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, 23, 59, 59, 999999, UTC)
METADATA: dict[str, Any] = {HOSTILE: [1, 1.5, -0.0, 1e300, 2**63, True, None, {"deep": {}}], "": ""}


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as it:
        yield it


@pytest.fixture(scope="module")
def store(cluster: Postgres, runner: asyncio.Runner) -> Iterator[PostgresStore]:
    url = cluster.new_database()
    migrate_schema(url)
    it = PostgresStore(url, 3, 5)
    runner.run(it.open())
    yield it
    runner.run(it.close())


def _message(content: str, at: datetime | None = None, metadata: dict[str, Any] | None = None) -> NewMessage:
    return NewMessage("user", content, at, metadata)


@pytest.mark.parametrize(
    "new",
    [
        NewConversation("plain", "/", 5.0, {}, (_message("first"), _message("second"))),
        NewConversation("empty", "/", 0.0, {}, ()),
        NewConversation(HOSTILE, HOSTILE, 7.25, METADATA, (_message(HOSTILE, None, METADATA), _message(""))),
        NewConversation("times", "/a/b", 10.0, {}, (_message("old", EARLIEST), _message("new", LATEST))),
    ],
    ids=lambda new: new.label[:5],
)
def test_show(runner: asyncio.Runner, store: PostgresStore, new: NewConversation) -> None:
    made = runner.run(store.create(new, embed=False))
    found, text = runner.run(store.get(made.id)), runner.run(store.show_json(made.id))
    assert found
    assert text
    expected = wire.conversation(*found)
    shown = orjson.loads(text)
    assert shown == expected
    assert list(shown) == list(expected)
    assert [type(shown[name]) for name in shown] == [type(expected[name]) for name in expected]
    assert [list(each) for each in shown["messages"]] == [list(each) for each in expected["messages"]]

    rows, total = runner.run(store.page_json(ListFilter(), 1, 0))
    row, expected = orjson.loads(rows), orjson.loads(orjson.dumps(wire.list_row(found[0])))
    assert row == expected, "the newest comes first"
    assert list(row) == list(expected)
    assert [type(row[name]) for name in row] == [type(expected[name]) for name in expected]
    assert total >= 1


def test_unknown(runner: asyncio.Runner, store: PostgresStore) -> None:
    assert runner.run(store.show_json(uuid4())) is None


def test_pages(runner: asyncio.Runner, store: PostgresStore) -> None:
    folder = f"/pages/{uuid4()}"
    made = [runner.run(store.create(NewConversation(str(i), folder, 5.0, {}, ()), embed=False)) for i in range(5)]
    runner.run(store.update(made[1].id, Changes(status="archived", importance_score=10.0)))
    where = ListFilter(folder=folder)

    def page(limit: int, offset: int, where: ListFilter = where) -> tuple[list[str], int]:
        rows, total = runner.run(store.page_json(where, limit, offset))
        return [row["label"] for row in orjson.loads(b"[" + rows + b"]")], total

    assert page(3, 0) == (["1", "4", "3"], 5)
    assert page(3, 3) == (["2", "0"], 5)
    assert page(3, 6) == ([], 5)
    assert page(3, 0, ListFilter(folder=folder, archived=True, pinned=True)) == (["1"], 1)
    assert page(3, 0, ListFilter(folder="/nowhere")) == ([], 0)
