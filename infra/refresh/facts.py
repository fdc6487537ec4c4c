"""What a cloud's own price list says, as changes to the catalog's files, and what it says beside. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from infra.refresh import yaml_edit

CATALOG, PRICES = "catalog.yaml", "catalog_prices.yaml"


class RefreshError(Exception):
    """A cloud's price list can't be had or can't be used; the message names it and says why."""


@dataclass(frozen=True)
class Fact:
    """One value of one file, as the cloud gave it."""

    file: str
    path: tuple[str, ...]
    value: str


@dataclass
class Found:
    """Everything that one cloud's list said. `rows` of PRICES come from `source` now; `gone` are keys to drop there."""

    source: str
    text: str
    facts: list[Fact] = field(default_factory=list)
    rows: list[tuple[str, ...]] = field(default_factory=list)
    gone: list[tuple[str, ...]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def price(self, file: str, path: Sequence[str], amount: Decimal | str | float) -> None:
        self.facts.append(Fact(file, tuple(path), plain(Decimal(str(amount)))))


def plain(amount: Decimal) -> str:
    """An amount without exponent and superfluous zeros, with two decimals at least unless it is whole."""
    text = f"{amount:f}"
    if "." not in text:
        return text
    text = text.rstrip("0")
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals.ljust(2, '0')}" if decimals else whole


def apply(files: Mapping[str, str], found: Sequence[Found], today: datetime.date) -> dict[str, str]:
    """The catalog's files (name -> text) with what was found; a value that is equal as a number stays as written."""
    wanted: dict[str, dict[tuple[str, ...], str]] = {name: {} for name in files}
    for each in found:
        for fact in each.facts:
            wanted[fact.file][fact.path] = fact.value
        said = f'{{as_of: {today}, fetched: true, text: "{each.text}"}}'
        wanted[PRICES] |= {("sources", each.source): said} | {(*row, "source"): each.source for row in each.rows}
    result = {}
    for name, text in files.items():
        now = yaml_edit.values(text, wanted[name])
        changes = [change for change, old in zip(wanted[name].items(), now, strict=True) if not _same(old, change[1])]
        result[name] = yaml_edit.put(text, changes)
    for each in found:
        for path in each.gone:
            result[PRICES] = yaml_edit.remove(result[PRICES], path)
    return result


def _same(one: str | None, other: str) -> bool:
    if one is None:
        return False
    try:
        return Decimal(one) == Decimal(other)
    except InvalidOperation:
        return one == other
