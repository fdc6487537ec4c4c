"""Assessment -> the Markdown of one comment, never longer than GitHub takes, never with a secret. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal

from ci.assess import OVERRIDE, Assessment, Risk
from ci.parse import Change, value_at
from ci.redact import MASK, is_secret, redact

LIMIT = 65_536
"""Characters of a comment (GitHub answers 422 to more); counted in UTF-8 bytes here, which are never fewer."""
SHOWN = frozenset(
    ("serverType", "size", "instanceType", "location", "region", "image", "rules", "inboundRules", "ingress", "type",
     "deleteProtection", "rebuildProtection", "ipRange", "format", "networkZone", "volumeSize", "encrypted")
)  # fmt: skip
"""Inputs whose values are shown; of all others only the name is, because any value may be a secret."""
MARKS = {"create": "+ created", "change": "~ changed", "replace": "**± replaced**", "delete": "**- deleted**"}
MOST_RISKS, MOST_NOTES, LONGEST, CELL, MOST_PATHS = 25, 8, 600, 120, 8


def marker(stack: str) -> str:
    """The first line of a stack's comment, by which the next run finds it."""
    return f"<!-- sekha-preview: {re.sub(r'[^A-Za-z0-9._-]', '', stack)} -->"


def render(made: Assessment, secrets: set[str], commit: str = "") -> str:
    """The comment: verdict, cost, risks, and as many resources as there is room for."""
    head = "\n".join(_head(made, secrets))
    foot = "\n".join(["", *_foot(commit)])
    room = LIMIT - _size(head) - _size(foot) - 200
    body = "\n".join(_table(made.preview.changes, secrets, room))
    return redact(f"{head}\n{body}\n{foot}\n", secrets)


def _size(text: str) -> int:
    return len(text.encode())


def clean(text: str, secrets: set[str], longest: int = LONGEST) -> str:
    """Text from outside for one line of Markdown: without secrets, mentions, markup and line breaks; cut to length."""
    text = re.sub(r"\s+", " ", redact(text, secrets)).strip()
    text = "".join(character for character in text if character.isprintable())
    if len(text) > longest:
        text = text[: longest - 1] + "…"
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = re.sub(r"([\\`*_|\[\]#~!])", r"\\\1", text)
    return text.replace("@", "@\u200b").replace("://", ":\u200b//")  # nobody is mentioned, nothing becomes a link


def _head(made: Assessment, secrets: set[str]) -> Iterator[str]:
    preview = made.preview
    yield marker(preview.stack)
    yield f"## Preview of `{re.sub(r'[^A-Za-z0-9._-]', '', preview.stack)}`: {_verdict(made)}"
    yield ""
    if made.blocked:
        yield (
            f"**Blocked** (label `{OVERRIDE}` lets a loss of data pass, and nothing else):"
            if any(risk.blocks == "data loss" for risk in made.blocked)
            else "**Blocked:**"
        )
        yield ""
        yield from _list(made.blocked, secrets)
        yield ""
    yield from _cost(made)
    yield ""
    warnings = [risk for risk in made.risks if risk not in made.blocked]
    yield "### Risks"
    yield ""
    yield from _list(warnings, secrets, approved=made.overridden)
    if not warnings:
        yield "None found." if made.complete else "Not known: the preview ended early."
    yield ""
    if preview.notes:
        yield "### What the program says"
        yield ""
        yield from _list([Risk(note) for note in preview.notes[:MOST_NOTES]], secrets)
        yield ""


def _verdict(made: Assessment) -> str:
    if made.blocked:
        return "⛔ blocked: " + ", ".join(sorted({risk.blocks for risk in made.blocked}))
    if not any(change.action != "same" for change in made.preview.changes):
        return "nothing changes"
    return "⚠️ look at the risks" if made.risks else "✅ no risk found"


def _list(risks: Iterable[Risk], secrets: set[str], *, approved: bool = False) -> Iterator[str]:
    rows = list(risks)
    for risk in rows[:MOST_RISKS]:
        word = f"**{risk.blocks}{' (approved by label)' if approved else ''}:** " if risk.blocks else ""
        yield f"- {word}{clean(risk.text, secrets)}"
    if len(rows) > MOST_RISKS:
        yield f"- … and {len(rows) - MOST_RISKS} more"


def _cost(made: Assessment) -> Iterator[str]:
    """Now, after and difference by currency, from the catalog's dated prices."""
    yield "### Cost a month, without VAT"
    yield ""
    yield "| | now | after | difference |"
    yield "|---|--:|--:|--:|"
    if made.complete:
        for currency in sorted({*made.now.totals, *made.after.totals}) or ["EUR"]:
            now, after = made.now.amount(currency), made.after.amount(currency)
            yield f"| {currency} | {now:.2f} | {after:.2f} | **{_signed(after - now)}** |"
    else:  # a failed preview names only what it reached: what the stack's last up told is all that is known
        yield f"| | {clean(made.preview.cost_before, set(), 40) or 'unknown'} | unknown | unknown |"
    yield ""
    notes = ["List prices of the catalog; object storage and traffic go by use and are not in it."]
    if made.budget:
        notes.append(f"Budget: {made.budget}.")
    if unknown := sorted({*made.now.unknown, *made.after.unknown}):
        notes.append(f"Without a price in the catalog: {clean(', '.join(unknown), set(), 300)}.")
    yield " ".join(notes)


def _signed(amount: Decimal) -> str:
    return f"{amount:+.2f}" if amount else "0.00"


def _table(changes: tuple[Change, ...], secrets: set[str], room: int) -> Iterator[str]:
    """Changed resources, the dangerous first, as far as `room` (bytes) goes; then how many were left out."""
    order = ["delete", "replace", "change", "create"]
    rows = sorted(
        (change for change in changes if change.action in order), key=lambda change: order.index(change.action)
    )
    counts = Counter(change.action for change in changes)
    words = [f"{counts[action]} {MARKS[action].strip('*+-~± ')}" for action in reversed(order) if counts[action]]
    yield f"### Resources: {', '.join(words) or 'none changed'}, {counts['same']} unchanged"
    yield ""
    if not rows:
        return
    yield "| | type | name | what |"
    yield "|---|---|---|---|"
    room -= 300
    for number, change in enumerate(rows):
        line = _row(change, secrets)
        room -= _size(line) + 1
        if room < 0:
            yield ""
            yield f"… and {len(rows) - number} more, for which a comment has no room; `make preview` shows all."
            return
        yield line


def _row(change: Change, secrets: set[str]) -> str:
    cells = [clean(change.kind, secrets, CELL), clean(change.resource.name, secrets, CELL), _what(change, secrets)]
    return f"| {MARKS[change.action]} | {' | '.join(cells)} |"


def _what(change: Change, secrets: set[str]) -> str:
    shown = [_path(change, path, secrets) for path in change.paths[:MOST_PATHS]]
    if len(change.paths) > MOST_PATHS:
        shown.append(f"and {len(change.paths) - MOST_PATHS} more")
    return "; ".join(shown)


def _path(change: Change, path: str, secrets: set[str]) -> str:
    """A changed input; with both values where they are of a kind that is shown and not secret."""
    name = clean(path, secrets, CELL)
    if path.split(".")[0].split("[")[0] not in SHOWN:
        return name
    sides = [value_at(side.inputs, path) if side else None for side in (change.old, change.new)]
    if not all(isinstance(side, str | int | float | bool | None) for side in sides):
        return name
    texts = ["nothing" if side is None else MASK if is_secret(side) else str(side) for side in sides]
    return f"{name}: {' → '.join(clean(text, secrets, CELL) for text in texts)}" if texts[0] != texts[1] else name


def _foot(commit: str) -> Iterator[str]:
    at = f" at {re.sub(r'[^0-9a-f]', '', commit)[:12]}" if commit else ""
    yield f"<sub>From `pulumi preview --json`{at}; values are shown of harmless inputs only. See docs/ci.md.</sub>"
