"""The full-text query language: terms AND together; OR, NOT, "phrase", prefix*. One for both databases.

Any text is a valid query. Both databases split at ASCII punctuation and white space, fold case and stem with Porter's
algorithm, so that they find the same; `foo-bar` is the phrase `foo bar`. A query's most common words (STOP_WORDS) count
only inside a phrase: everything matches them.
"""

import re
from dataclasses import dataclass

STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        a about after again all am an and any are as at be because been before being but by can could did do does
        doing don down during each few for from further had has have having he her here hers him his how i if in into
        is it its itself just me more most my no nor not now of off on once only or other our out over own s same she
        should so some such t than that the their them then there these they this those through to too under until up
        very was we were what when where which while who whom why will with would you your
        """,
    )
)
_TOKEN = re.compile(r'"([^"]*)"|(\S+)')
_SEPARATOR = re.compile(r"[\x00-/:-@\[-`{-\x7f\s]+")
_MOST_TERMS = 64


@dataclass(frozen=True)
class Term:
    """Words that follow each other; with `prefix`, the last one only begins so."""

    words: tuple[str, ...]
    prefix: bool = False


@dataclass(frozen=True)
class Alternative:
    """Matches a text that has all of `wanted` and none of `unwanted`. `wanted` is never empty."""

    wanted: tuple[Term, ...]
    unwanted: tuple[Term, ...] = ()


def parse(query: str) -> list[Alternative]:
    """The alternatives of `query`, any of which may match; empty when nothing is left to look for."""
    alternatives: list[tuple[list[Term], list[Term]]] = [([], [])]
    negate = False
    for match in list(_TOKEN.finditer(query))[:_MOST_TERMS]:
        phrase, word = match.group(1), match.group(2)
        if word in ("AND", "OR", "NOT"):
            if word == "OR":
                alternatives.append(([], []))
            negate = word == "NOT"
            continue
        term = _term(word or phrase, is_phrase=phrase is not None)
        if term:
            alternatives[-1][1 if negate else 0].append(term)
        negate = False
    return [Alternative(tuple(wanted), tuple(unwanted)) for wanted, unwanted in alternatives if wanted]


def any_of(text: str) -> list[Alternative]:
    """Alternatives that match a text with any of `text`'s words, whatever punctuation it has."""
    return [Alternative((term,)) for term in _words(text)]


def all_of(text: str) -> list[Alternative]:
    """What matches a text with all of `text`'s words (the first 64), whatever punctuation it has."""
    words = _words(text)
    return [Alternative(tuple(words))] if words else []


def _words(text: str) -> list[Term]:
    words = dict.fromkeys(word for word in split(text) if word.lower() not in STOP_WORDS)
    return [Term((word,)) for word in list(words)[:_MOST_TERMS]]


def split(text: str) -> list[str]:
    """The words of `text`."""
    return [word for word in _SEPARATOR.split(text) if any(c.isalnum() for c in word)]


def _term(text: str, *, is_phrase: bool) -> Term | None:
    words = split(text)
    prefix = not is_phrase and text.endswith("*")
    if not words or (len(words) == 1 and not prefix and words[0].lower() in STOP_WORDS):
        return None
    return Term(tuple(words), prefix)
