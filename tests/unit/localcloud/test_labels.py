"""Label rules and the selector grammar."""

from __future__ import annotations

import pytest

from localcloud.labels import parse_selector, problem

LABELS = {"app": "web", "env": "prod", "example.com/role": "db", "empty": ""}


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ("app=web", True),
        ("app==web", True),
        (" app = web ", True),
        ("app=db", False),
        ("app!=db", True),
        ("app!=web", False),
        ("missing!=x", True),
        ("app", True),
        ("missing", False),
        ("!missing", True),
        ("!app", False),
        ("app in (web,db)", True),
        ("app in ( db , api )", False),
        ("app notin (db)", True),
        ("missing notin (db)", True),
        ("app notin (web,db)", False),
        ("app=web,env=prod", True),
        ("app=web, env=dev", False),
        ("app in (web), env, !missing", True),
        ("example.com/role=db", True),
        ("empty=", True),
        ("env=", False),
    ],
)
def test_selector(selector: str, matches: bool) -> None:
    assert parse_selector(selector)(LABELS) is matches


@pytest.mark.parametrize(
    "selector", ["", ",", "a=b,", "=b", "a in b", "a in (b", "a b", "-a=b", "a=-b", "a=b=c", "!a=b", "(a)"]
)
def test_malformed_selector(selector: str) -> None:
    with pytest.raises(ValueError, match="selector"):
        parse_selector(selector)


@pytest.mark.parametrize("labels", [{}, {"a": ""}, {"a.b-c_d": "x" * 63}, {"example.com/a": "b"}, {"A" * 63: "1"}])
def test_good_labels(labels: object) -> None:
    assert problem(labels) is None


@pytest.mark.parametrize(
    "labels",
    [
        [],
        {"": "x"},
        {"a": 1},
        {"-a": "x"},
        {"a-": "x"},
        {"a" * 64: "x"},
        {"a": "x" * 64},
        {"a": "-"},
        {"hetzner.cloud/a": "x"},
        {"/a": "x"},
    ],
)
def test_bad_labels(labels: object) -> None:
    assert problem(labels)
