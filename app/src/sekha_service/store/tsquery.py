"""Full-text queries as PostgreSQL tsquery expressions. Every word is a value, so nothing is a syntax error."""

from collections.abc import Sequence

from .fulltext import Alternative, Term


def expression(alternatives: Sequence[Alternative]) -> tuple[str, list[str]]:
    """(SQL expression of type tsquery with %s placeholders, its values); ("", []) without alternatives."""
    values: list[str] = []
    return " || ".join(f"({_alternative(each, values)})" for each in alternatives), values


def _alternative(it: Alternative, values: list[str]) -> str:
    terms = [_term(term, values) for term in it.wanted]
    return " && ".join([*terms, *(f"!!{_term(term, values)}" for term in it.unwanted)])


def _term(term: Term, values: list[str]) -> str:
    *first, last = term.words
    if not term.prefix:
        values.append(" ".join(term.words))
        return "phraseto_tsquery('sekha', %s)"
    beginning = "to_tsquery('sekha', %s)"
    prefix = "'" + last.replace("\\", "\\\\").replace("'", "''") + "':*"
    if not first:
        values.append(prefix)
        return beginning
    values += [" ".join(first), prefix]
    return f"(phraseto_tsquery('sekha', %s) <-> {beginning})"
