"""People, organizations, technical terms and concepts of a text, by their spelling: no model is asked."""

import re

from . import words

_MOST = 20
_NAME = re.compile(r"\b[A-Z][a-z]+(?:[ \t]+(?:[A-Z][a-z]+|[A-Z]\.)){1,4}")
# Repeats are bounded: the time a text takes must not grow faster than its length.
_COMPANY = re.compile(
    r"\b(?:[A-Z][\w&-]{0,40}[ \t]{1,3}){1,4}(?:Inc|Ltd|LLC|GmbH|AG|Corp|Corporation|Company|University|Institute)\b"
)
_TECHNICAL = re.compile(r"\b(?:[A-Za-z]+[A-Z]\w*|[A-Z]{2,}\d*|\w+_\w+|[a-z]+\d[\w.]*|\w+\(\))(?!\w)")


def extract(text: str) -> dict[str, list[str]]:
    """The four lists, each in the order of the text, without repeats, at most 20 long."""
    text = text[: words.MAX_CHARACTERS]
    organizations = _distinct(_COMPANY.findall(text))
    people = [name for name in _distinct(_NAME.findall(text)) if not any(name in each for each in organizations)]
    technical = _distinct(_TECHNICAL.findall(text))
    named = {part.lower() for name in (*organizations, *people, *technical) for part in name.split()}
    concepts = [word for word in words.keywords([text], 2 * _MOST) if word not in named]
    return {
        "people": people[:_MOST],
        "organizations": organizations[:_MOST],
        "technical_terms": technical[:_MOST],
        "concepts": concepts[:_MOST],
    }


def _distinct(found: list[str]) -> list[str]:
    return list(dict.fromkeys(" ".join(text.split()) for text in found))
