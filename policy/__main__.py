"""`pulumi preview --policy-pack policy`: what must never happen is mandatory."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pulumi
from pulumi_policy import (
    EnforcementLevel,
    PolicyPack,
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from policy import rules
from policy.rules import Registered


def known(value: Any) -> Any:
    """`value` as plain lists and dicts, without what is not known before an update (policies may not look at it)."""
    if isinstance(value, Mapping):
        found = {}
        for key in value:
            try:
                found[key] = known(value[key])
            except UnknownValueError:
                continue
        return found
    if isinstance(value, Sequence) and not isinstance(value, str):
        items = []
        for index in range(len(value)):
            try:
                items.append(known(value[index]))
            except UnknownValueError:
                continue
        return items
    return value


def registered(args: ResourceValidationArgs | PolicyResource) -> Registered:
    """The resource in question."""
    return Registered(args.resource_type, args.name, known(args.props), args.opts.protect)


def endpoint() -> str:
    """The Hetzner API that the stack uses, "" for Hetzner's own."""
    return pulumi.Config("hcloud").get("endpoint") or ""


def budget() -> int:
    """sekha:monthlyBudget."""
    return pulumi.Config("sekha").get_int("monthlyBudget") or 0


def each(name: str, description: str, rule: Callable[[Registered], Iterator[str]]) -> ResourceValidationPolicy:
    """A policy over single resources."""

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        for finding in rule(registered(args)):
            report(finding, None)

    return ResourceValidationPolicy(name=name, description=description, validate=validate)


def together(
    name: str, description: str, rule: Callable[[list[Registered]], Iterator[str]], level: EnforcementLevel
) -> StackValidationPolicy:
    """A policy over the whole stack."""

    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        for finding in rule([registered(resource) for resource in args.resources]):
            report(finding, None)

    return StackValidationPolicy(name=name, description=description, validate=validate, enforcement_level=level)


MANDATORY, ADVISORY = EnforcementLevel.MANDATORY, EnforcementLevel.ADVISORY

PolicyPack(
    name="sekha",
    enforcement_level=MANDATORY,
    policies=[
        each("exposed", "Only 80 and 443 are public; 22 has narrow sources.", rules.exposed),
        each("encrypted", "What holds data is encrypted.", rules.unencrypted),
        each("protected", "What holds data is protected.", lambda one: rules.unprotected(one, endpoint())),
        together(
            "budget", "The stack costs no more than its budget.", lambda all_: rules.too_dear(all_, budget()), MANDATORY
        ),
        # ci/ blocks it, unless a label approves the loss of data; mandatory, no label could.
        together("data-outlives-machines", "A machine has a volume.", rules.without_data, ADVISORY),
    ],
)
