"""The full-text query language (terms AND together, OR, NOT, "phrase", prefix*) as a PostgreSQL tsquery expression.

Any text is accepted: every term goes through PostgreSQL's own parser as a value, so nothing is a syntax error.
"""

import re

_TOKEN = re.compile(r'"([^"]*)"|(\S+)')
_MAX_TERMS = 64


def parse(query: str) -> tuple[str, list[str]]:
    """`query` as (SQL expression of type tsquery with %s placeholders, its values); ("", []) when nothing remains."""
    alternatives: list[str] = []
    current: list[str] = []
    values: list[str] = []
    negate = False
    for match in list(_TOKEN.finditer(query))[:_MAX_TERMS]:
        phrase, word = match.group(1), match.group(2)
        if word in ("AND", "OR", "NOT"):
            if word == "OR" and current:
                alternatives.append(" && ".join(current))
                current = []
            negate = word == "NOT"
            continue
        term = _term(phrase, word or "", values)
        if term:
            current.append(f"!!{term}" if negate else term)
        negate = False
    if current:
        alternatives.append(" && ".join(current))
    return " || ".join(f"({part})" for part in alternatives), values


def _term(phrase: str | None, word: str, values: list[str]) -> str:
    if phrase is not None:
        values.append(phrase)
        return "phraseto_tsquery('english', %s)"
    text = word.strip("\"'()[]{}*:^,;.!?-+&|<>")
    if not text:
        return ""
    if word.endswith("*") and re.fullmatch(r"\w+", text):
        values.append(f"'{text}':*")
        return "to_tsquery('simple', %s)"
    values.append(text)
    return "plainto_tsquery('english', %s)"
