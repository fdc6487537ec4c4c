"""Tables for people, one JSON line for programs."""

from __future__ import annotations

import json

import pytest

from ops.show import json_line, table


def test_a_table_lines_its_columns_up() -> None:
    assert table(["stage", "seconds"], [("boot", 3.25), ("packages", 12.0)]).splitlines() == [
        "stage     seconds",
        "--------  -------",
        "boot          3.2",
        "packages     12.0",
    ]


@pytest.mark.parametrize(("value", "lines"), [("1", 1), ("", 0)])
def test_json_is_printed_only_when_asked(
    value: str, lines: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JSON", value)
    json_line({"ok": True})
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == lines
    assert [json.loads(line) for line in printed] == [{"ok": True}] * lines
