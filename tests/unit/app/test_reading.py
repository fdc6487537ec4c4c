"""Reading requests: fields, filters, pages, full-text syntax, SQL conditions."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sekha_service.errors import BadRequestError
from sekha_service.http import fields, read
from sekha_service.model import MessageFilter
from sekha_service.store.fulltext import all_of, any_of, parse
from sekha_service.store.postgres_search import folder_condition, message_condition
from sekha_service.store.sqlite_search import match_expression
from sekha_service.store.tsquery import expression


@pytest.mark.parametrize(
    ("text", "end_of_day", "expected"),
    [
        ("2026-01-25T20:30:00.123456", False, (2026, 1, 25, 20, 30, 0, 123456)),
        ("2026-01-25T20:30:00Z", False, (2026, 1, 25, 20, 30)),
        ("2026-01-25T20:30:00+02:00", False, (2026, 1, 25, 18, 30)),
        ("2026-01-25", False, (2026, 1, 25)),
        ("2026-01-25", True, (2026, 1, 25, 23, 59, 59, 999999)),
        ("2026-01-25T00:00", True, (2026, 1, 25)),
    ],
)
def test_instant(text: str, end_of_day: bool, expected: tuple[int, ...]) -> None:
    found = fields.instant(text, "t", end_of_day=end_of_day)
    assert found is not None
    assert found.utcoffset() == timedelta()
    assert (*found.timetuple()[:6], found.microsecond) == expected + (0,) * (7 - len(expected))


@pytest.mark.parametrize("value", ["", "soon", "2026-13-01", 5, "0001-01-01T00:00+14:00", "9999-12-31T23:59-01:00"])
def test_instant_refuses(value: object) -> None:
    with pytest.raises(BadRequestError, match="t must be an ISO-8601 time"):
        fields.instant(value, "t")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, (1, 50, 0)),
        ({"page": "3", "page_size": "10"}, (3, 10, 20)),
        ({"page": "0", "page_size": "5000"}, (1, 1000, 0)),
        ({"limit": "20", "offset": "45"}, (3, 20, 45)),
        ({"page": "9", "offset": "-1"}, (1, 50, 0)),
        ({"page": "9" * 30}, (2**31 - 1, 50, (2**31 - 2) * 50)),
        ({"page": "", "page_size": ""}, (1, 50, 0)),
    ],
)
def test_window(query: dict[str, str], expected: tuple[int, int, int]) -> None:
    assert read.window(query) == expected


@pytest.mark.parametrize(
    ("value", "ok"),
    [("6ba7b810-9dad-41d1-80b4-00c04fd430c8", True), ("6BA7B810-9DAD-41D1-80B4-00C04FD430C8", True),
     ("6ba7b8109dad41d180b400c04fd430c8", False), ("{6ba7b810-9dad-41d1-80b4-00c04fd430c}", False), (None, False),
     ("6ba7b810-9dad-41d1-80b4-00c04fd430cg", False), (5, False)],
)  # fmt: skip
def test_uuid(value: object, ok: bool) -> None:
    if ok:
        assert str(fields.uuid(value, "id")) == str(value).lower()
    else:
        with pytest.raises(BadRequestError, match="id must be a UUID"):
            fields.uuid(value, "id")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (None, MessageFilter()),
        ({"label": None, "odd": 1}, MessageFilter()),
        ({"labels": ["b", "a"]}, MessageFilter(labels=("a", "b"))),
        ({"labels": ["a"], "filter_labels": ["b"]}, MessageFilter(labels=())),
        ({"labels": "a"}, MessageFilter(labels=("a",))),
        ({"folder": "/x", "folders": ["/y", "/z"]}, MessageFilter(folders=(("/x",), ("/y", "/z")))),
        ({"start_date": "2026-01-01"}, MessageFilter(date_from=datetime(2026, 1, 1, tzinfo=UTC))),
        ({"archived": "true", "pinned": False}, MessageFilter(archived=True, pinned=False)),
        ({"importance_min": 3}, MessageFilter(importance_min=3.0)),
    ],
)
def test_message_filter(body: Any, expected: MessageFilter) -> None:
    assert read.message_filter(body) == expected
    assert read.message_filter(body).empty == (expected == MessageFilter())


@pytest.mark.parametrize(
    ("folder", "values"),
    [("/work", ["/work", "/work/%"]), ("/work/", ["/work", "/work/%"]), ("/", []), (None, []), ("", []),
     ("/50%_\\", ["/50%_\\", "/50\\%\\_\\\\/%"])],
)  # fmt: skip
def test_folder_condition(folder: str | None, values: list[str]) -> None:
    text, found = folder_condition("c.folder", folder)
    assert found == values
    assert text.count("%s") == len(values)


def test_excluding_the_root_excludes_everything() -> None:
    assert "false" in message_condition(MessageFilter(excluded_folders=("/",)))[0]


@pytest.mark.parametrize(
    ("query", "sql", "values", "match"),
    [
        ("cat dog", "(F && F)", ["cat", "dog"], '("cat" AND "dog")'),
        ("cat AND dog OR bird", "(F && F) || (F)", ["cat", "dog", "bird"], '("cat" AND "dog") OR ("bird")'),
        ("cat NOT dog NOT eel", "(F && !!F && !!F)", ["cat", "dog", "eel"], '(("cat") NOT ("dog" OR "eel"))'),
        ("NOT dog", "", [], ""),
        ('"warm the sofa" cat', "(F && F)", ["warm the sofa", "cat"], '("warm the sofa" AND "cat")'),
        ("the Cat of", "(F)", ["Cat"], '("Cat")'),
        ("post*", "(T)", ["'post':*"], '("post" *)'),
        ("foo-b'ar*", "((F <-> T))", ["foo b", "'ar':*"], '("foo b ar" *)'),
        ("it's (odd)", "(F && F)", ["it s", "odd"], '("it s" AND "odd")'),
        ("OR AND NOT", "", [], ""),
        ("*** !!", "", [], ""),
        ("", "", [], ""),
    ],
)
def test_full_text_queries(query: str, sql: str, values: list[str], match: str) -> None:
    text, found = expression(parse(query))
    text = text.replace("phraseto_tsquery('sekha', %s)", "F").replace("to_tsquery('sekha', %s)", "T")
    assert (text, found) == (sql, values)
    assert match_expression(parse(query)) == match


@pytest.mark.parametrize(
    ("text", "words"), [("The cat, a dog!", ["cat", "dog"]), ("cat Cat cat", ["cat", "Cat"]), ("of the", []), ("—", [])]
)
def test_any_of(text: str, words: list[str]) -> None:
    assert [term.words for each in any_of(text) for term in each.wanted] == [(word,) for word in words]


@pytest.mark.parametrize(("text", "words"), [("The cat, a dog OR -cat!", [("cat",), ("dog",)]), ("of the", None)])
def test_all_of(text: str, words: list[tuple[str]] | None) -> None:
    assert [[term.words for term in each.wanted] for each in all_of(text)] == ([words] if words else [])


@given(st.text())
def test_tsquery_has_a_placeholder_for_each_value(query: str) -> None:
    for alternatives in (parse(query), any_of(query), all_of(query)):
        text, values = expression(alternatives)
        assert text.count("%s") == len(values)
        assert bool(text) == bool(values) == bool(match_expression(alternatives))


@pytest.fixture(scope="module")
def fts5() -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.execute("CREATE VIRTUAL TABLE t USING fts5 (content, tokenize = 'porter unicode61 remove_diacritics 0')")
        yield db


@given(query=st.text(), anything=st.booleans())
def test_fts5_never_refuses_an_expression(fts5: sqlite3.Connection, query: str, anything: bool) -> None:
    match = match_expression(any_of(query) if anything else parse(query))
    if match:
        fts5.execute("SELECT count(*) FROM t WHERE t MATCH ?", [match])


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))  # fmt: skip  # noqa: E501
def test_any_json_is_read_or_refused(value: Any) -> None:
    body = value if isinstance(value, dict) else {"label": value, "messages": value, "metadata": value}
    for reader in (read.new_conversation, read.message_filter, read.status_change, read.importance):
        try:
            reader(body)
        except BadRequestError:
            continue
