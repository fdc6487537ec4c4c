"""Preview -> Assessment: what a change costs and risks, and whether it is blocked. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from decimal import Decimal

from ci.parse import Change, Preview
from infra import catalog_prices, resource_guards, resource_prices
from infra.resource_prices import Bill
from policy import rules

OVERRIDE = "data-loss-approved"
"""The label of a pull request that lets a loss of data pass."""
DATA_LOSS, BUDGET, GUARD, PROTECTED, FAILED = "data loss", "budget", "guard rail", "protected", "preview failed"
REFUSALS = {
    "sekha:monthlyBudget": BUDGET,
    "config can't be used": GUARD,
    "marked for protection": PROTECTED,
    "because it is protected": PROTECTED,
}
"""What an error says -> what refused. The engine refuses to delete what is protected, whatever label there is."""
ECHOES = ("an unhandled error occurred: the program ended with exit code", "preview failed")
"""Errors by which the engine repeats in general what it said of one resource before."""
RELEASE = "pulumi-python:dynamic/sekha:Release"


@dataclass(frozen=True)
class Risk:
    """One thing to think about; `blocks` is one of the words above, or "" for a warning."""

    text: str
    blocks: str = ""


@dataclass(frozen=True)
class Assessment:
    """What there is to say about a preview. `overridden`: a loss of data was approved by label."""

    preview: Preview
    now: Bill
    after: Bill
    complete: bool
    risks: tuple[Risk, ...]
    overridden: bool
    budget: Decimal

    @property
    def blocked(self) -> tuple[Risk, ...]:
        """What keeps the change from being deployed."""
        return tuple(risk for risk in self.risks if risk.blocks and not (self.overridden and risk.blocks == DATA_LOSS))


def assess(preview: Preview, labels: Collection[str] = ()) -> Assessment:
    """Judge `preview`; `labels` are the pull request's."""
    now = resource_prices.bill((side.type, side.inputs) for change in preview.changes if (side := change.old))
    after = resource_prices.bill((side.type, side.inputs) for change in preview.changes if (side := change.new))
    budget = _budget(preview)
    risks = [risk for change in preview.changes for risk in _risks(change, preview)]
    risks += [*_over(preview, after, budget), *_guards(preview)]
    risks += _failed(preview, told=any(risk.blocks for risk in risks))
    risks.sort(key=lambda risk: not risk.blocks)
    return Assessment(
        preview=preview,
        now=now,
        after=after,
        complete=not preview.errors,
        risks=tuple(dict.fromkeys(risks)),
        overridden=OVERRIDE in labels,
        budget=budget,
    )


def _budget(preview: Preview) -> Decimal:
    text = preview.config.get("sekha:monthlyBudget", "0")
    return Decimal(text) if text.isdigit() else Decimal(0)


def _over(preview: Preview, after: Bill, budget: Decimal) -> Iterator[Risk]:
    if budget and not preview.errors and after.euros() > budget:
        yield Risk(f"costs {after.euros()} EUR a month, and sekha:monthlyBudget allows {budget}", BUDGET)


def _guards(preview: Preview) -> Iterator[Risk]:
    """What the policy pack would say; the engine's JSON does not hold it."""
    after = [side for change in preview.changes if (side := change.new)]
    registered = [rules.Registered(side.type, side.name, side.inputs, side.protect) for side in after]
    for finding in rules.findings(registered, preview.config.get("hcloud:endpoint", "")):
        yield Risk(finding, GUARD)
    for finding in rules.without_data(registered):
        yield Risk(finding, DATA_LOSS)


def _failed(preview: Preview, told: bool) -> Iterator[Risk]:
    """Why the preview failed; where that is `told` already, without the engine's own summary of it."""
    reasons = [error for error in preview.errors if not error.startswith(ECHOES)]
    for error in reasons or ([] if told else preview.errors):
        yield Risk(error, next((word for text, word in REFUSALS.items() if text in error), FAILED))


def _risks(change: Change, preview: Preview) -> Iterator[Risk]:
    if change.action == "same":
        yield from _stays(change, preview)
        return
    kind = change.resource.type
    yield from _data(change)
    if kind in resource_guards.MACHINES:
        yield from _machine(change, preview)
    if kind in resource_guards.ADDRESSES and change.action in ("replace", "delete"):
        yield Risk(f"{_name(change)} goes: the service gets another public address; DNS records have to follow")
    if kind == RELEASE and change.action == "change":
        yield Risk("short interruption: a new release restarts the services it changes")
    yield from _opened(change)
    yield from _unprotected(change)


def _name(change: Change) -> str:
    return f"{change.kind} {change.resource.name}"


def _data(change: Change) -> Iterator[Risk]:
    holds = resource_guards.DATA.get(change.resource.type)
    if not holds:
        return
    if change.action in ("delete", "replace"):
        word = "deleted" if change.action == "delete" else "replaced by an empty one"
        yield Risk(f"{holds} {change.resource.name} is {word}: what it holds is lost", DATA_LOSS)
    elif change.old and change.new and resource_guards.shrinks(change.old.inputs, change.new.inputs):
        yield Risk(f"{holds} {change.resource.name} shrinks: no cloud does that without losing data", DATA_LOSS)


def _machine(change: Change, preview: Preview) -> Iterator[Risk]:
    size = resource_guards.MACHINES[change.resource.type]
    resized = bool(change.old and change.new and change.old.inputs.get(size) != change.new.inputs.get(size))
    if change.action == "delete":
        yield Risk(f"downtime: {_name(change)} is deleted; what is on its own disk is lost")
    elif change.action == "replace":
        yield Risk(
            f"downtime: {_name(change)} is replaced (some minutes until the new machine serves); its own disk is lost, "
            "volumes and addresses that stay are attached again"
        )
        yield from _left_behind(change, preview)
    elif resized:
        yield Risk(f"downtime: {_name(change)} is switched off to be resized (a minute or two)")
    if change.action == "replace" or resized:
        yield from _old_price(change)


def _left_behind(change: Change, preview: Preview) -> Iterator[Risk]:
    """A machine that moves leaves the volumes behind that stay where they are."""
    old, new = (side.inputs.get("location", side.inputs.get("region")) if side else None
                for side in (change.old, change.new))  # fmt: skip
    if old == new or not isinstance(old, str):
        return
    for other in preview.changes:
        if resource_guards.DATA.get(other.resource.type) == "volume" and other.action in ("same", "change"):
            yield Risk(
                f"volume {other.resource.name} stays in {old} and can't be attached in {new}: the service would start "
                "without its data; restore from the backups instead",
                DATA_LOSS,
            )


def _old_price(change: Change) -> Iterator[Risk]:
    cloud = resource_prices.cloud_of(change.resource.type)
    if not cloud:
        return
    text = f"price: {_name(change)} is billed at today's list price from then on, and a lower one of its time is lost"
    newer = catalog_prices.load(cloud).superseded
    yield Risk(f"{text} (since {newer[0]}: {newer[1]})" if newer else text)


def _opened(change: Change) -> Iterator[Risk]:
    if change.new is None:
        return
    before = resource_guards.openings(change.old.type, change.old.inputs) if change.old else frozenset()
    for opening in sorted(resource_guards.openings(change.new.type, change.new.inputs) - before):
        if resource_guards.world(opening) and change.old:
            yield Risk(f"{_name(change)} opens {opening}: to the whole world")


def _unprotected(change: Change) -> Iterator[Risk]:
    if change.old is None or change.new is None:
        return
    if change.old.protect and not change.new.protect:
        yield Risk(f"protection removed: {_name(change)} can be deleted by a later change")
    was, now = (set(resource_guards.unprotected(side.inputs)) for side in (change.old, change.new))
    for name in sorted(now - was):
        if name in change.old.inputs:
            yield Risk(f"protection removed: {_name(change)} gets {name} = {str(change.new.inputs[name]).lower()}")


def _stays(change: Change, preview: Preview) -> Iterator[Risk]:
    """A machine whose place the config does not name any more: nothing moves, and that should be known."""
    yield from _unprotected(change)  # the engine calls a change of its own protection "same"
    if change.resource.type != "hcloud:index/server:Server":
        return
    location, regions = change.resource.inputs.get("location"), preview.config.get("sekha:regions", "")
    if isinstance(location, str) and regions and f'"{location}"' not in regions:
        yield Risk(
            f"nothing moves: {_name(change)} and its data stay in {location}, which sekha:regions {regions} does not "
            "name; a region is chosen once, and another one needs a new stack restored from the backups"
        )
