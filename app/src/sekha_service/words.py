"""Words and sentences of English text: the plain means the service has when no language model answers."""

import re
from collections import Counter
from collections.abc import Iterable

_WORD = re.compile(r"[^\W\d_][\w'+#.-]*[\w+#]|[^\W\d_]")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
MAX_CHARACTERS = 200_000  # of a text that is looked at; bounds the work of one request

_STOP_WORDS = """
    a about above after again against all also am an and any are aren't as at be because been before being below
    between both but by can can't cannot could couldn't did didn't do does doesn't doing don't down during each few for
    from further get gets getting go going got had hadn't has hasn't have haven't having he her here hers herself him
    himself his how i i'd i'll i'm i've if in into is isn't it it's its itself just let let's like make makes may me
    might more most must my myself need needs no nor not now of off ok okay on once one only or other ought our ours
    ourselves out over own please same shall she should shouldn't so some such sure than thank thanks that that's the
    their theirs them themselves then there there's these they they're this those through to too two under until up us
    use used uses using very want wants was wasn't way we we'll we're we've well were weren't what what's when where
    which while who whom why will with won't would wouldn't yes yet you you'd you'll you're you've your yours yourself
    hello hi hey new use thing things something
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())


def words(text: str) -> list[str]:
    """The words of a text in lower case, without stop words and single letters."""
    found = (match.group().lower() for match in _WORD.finditer(text[:MAX_CHARACTERS]))
    return [word for word in found if len(word) > 1 and word not in STOP_WORDS]


def keywords(texts: Iterable[str], limit: int) -> list[str]:
    """The words used most, most used first; the earlier one on ties."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(words(text))
    order = {word: i for i, word in enumerate(counts)}
    return sorted(counts, key=lambda word: (-counts[word], order[word]))[:limit]


def sentences(text: str) -> list[str]:
    """A text's sentences and lines, with single spaces, without empty ones."""
    parts = (" ".join(part.split()) for part in _SENTENCE.split(text[:MAX_CHARACTERS]))
    return [part for part in parts if part]


def summary(texts: Iterable[str], most_words: int) -> str:
    """The sentences that hold most of the frequent words, in their order, `most_words` at most; "" for no text.

    A sentence's worth is the mean frequency of its words (Luhn 1958), so that long ones have no advantage; always
    the same for the same texts. The first sentence of all is cut rather than nothing given.
    """
    pool: list[str] = []
    size = 0
    for text in texts:
        for sentence in sentences(text):
            if size < MAX_CHARACTERS:
                pool.append(sentence)
                size += len(sentence)
    pool = list(dict.fromkeys(pool))
    frequency = Counter(word for sentence in pool for word in words(sentence))
    worth = []
    for sentence in pool:
        found = words(sentence)
        worth.append(sum(frequency[word] for word in found) / (len(found) + 3))  # + 3: a lone word is no sentence
    chosen: list[int] = []
    left = most_words
    for i in sorted(range(len(pool)), key=lambda i: (-worth[i], i)):
        length = len(pool[i].split())
        if length <= left:
            chosen.append(i)
            left -= length
    if not chosen and pool:
        return " ".join(pool[0].split()[:most_words])
    return " ".join(_ended(pool[i]) for i in sorted(chosen))


def _ended(sentence: str) -> str:
    return sentence if sentence[-1] in ".!?:;" else sentence + "."
