"""Labels and label selectors: validation, parsing, matching. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
PREFIX = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*", re.IGNORECASE)
TERM = re.compile(
    r"\s*(?:(?P<not>!)\s*(?P<absent>[^\s,=!()]+)"
    r"|(?P<key>[^\s,=!()]+)"
    r"(?:\s*(?P<op>==|=|!=)\s*(?P<value>[^\s,=!()]*)|\s+(?P<set>in|notin)\s*\((?P<values>[^()]*)\))?"
    r")\s*(?:,|$)"
)

Matcher = Callable[[Mapping[str, str]], bool]


def valid_key(key: str) -> bool:
    """True for `[prefix/]name`; the prefix hetzner.cloud/ is reserved."""
    prefix, slash, name = key.rpartition("/")
    if slash and (not PREFIX.fullmatch(prefix) or len(prefix) > 253 or prefix.lower().endswith("hetzner.cloud")):
        return False
    return bool(NAME.fullmatch(name))


def valid_value(value: str) -> bool:
    """True for the empty string and for whatever may be a label's name."""
    return value == "" or bool(NAME.fullmatch(value))


def problem(labels: Any) -> str | None:
    """What is wrong with a map of labels, None if nothing is."""
    if not isinstance(labels, dict):
        return "labels must be an object of strings"
    for key, value in labels.items():
        if not valid_key(key):
            return f"invalid label key {key!r}"
        if not isinstance(value, str) or not valid_value(value):
            return f"invalid value of label {key!r}"
    return None


def parse_selector(text: str) -> Matcher:
    """Turn a label selector into a function of labels. Raises ValueError if it is malformed.

    Grammar: terms joined by commas (and): `k=v`, `k==v`, `k!=v`, `k`, `!k`, `k in (a,b)`, `k notin (a,b)`.
    """
    terms: list[Matcher] = []
    position = 0
    while position < len(text) or not terms:
        match = TERM.match(text, position)
        if match is None or match.end() == position:
            raise ValueError(f"malformed label selector {text!r}")
        terms.append(_term(match, text))
        position = match.end()
    if text.rstrip().endswith(","):
        raise ValueError(f"label selector {text!r} ends with a comma")
    return lambda labels: all(term(labels) for term in terms)


def _term(match: re.Match[str], text: str) -> Matcher:
    key = match["absent"] or match["key"]
    values = [match["value"]] if match["op"] else [v.strip() for v in (match["values"] or "").split(",")]
    if not valid_key(key) or not all(valid_value(value) for value in values):
        raise ValueError(f"malformed label selector {text!r}")
    if match["not"]:
        return lambda labels: key not in labels
    if match["op"] in ("=", "==") or match["set"] == "in":
        return lambda labels: labels.get(key) in values
    if match["op"] == "!=" or match["set"] == "notin":
        return lambda labels: labels.get(key) not in values
    return lambda labels: key in labels
