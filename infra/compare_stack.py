"""The comparison as a stack: prints it and exports it, and registers no resource."""

from __future__ import annotations

import datetime
from collections.abc import Mapping

import pulumi

from infra import catalog_prices, checks, compare_export, compare_report
from infra.config_reader import Reader, SettingsError


def made(stack: str, config: Mapping[str, str], today: datetime.date) -> compare_report.Comparison:
    """What the config asks to compare; conversations have no upper limit of a single server. Raises SettingsError."""
    read = Reader(config, stack)
    conversations = read.integer("conversations", 20_000, checks.between(1, checks.ABSURD, "conversations"))
    messages = read.integer("messagesPerConversation", 10, checks.between(1, 1000, "messages"))
    max_age = read.integer("catalogMaxAgeDays", catalog_prices.max_age_days(), checks.between(0, 36_500, "days"))
    if read.problems:
        raise SettingsError(read.problems)
    return compare_report.make(conversations, messages, managed=False, today=today, max_age_days=max_age)


def run(stack: str, config: Mapping[str, str]) -> None:
    """Log the table and export the figures. Raises SettingsError."""
    found = made(stack, config, datetime.date.today())
    pulumi.log.info(compare_report.text(found))
    figures = compare_export.as_json(found)
    priced = [row for row in figures["clouds"] if row["total_eur"] is not None]
    cheapest = min(priced, key=lambda row: (row["total_eur"], row["cloud"]), default=None)
    pulumi.export("cheapest", f"{cheapest['cloud']}: {cheapest['total_eur']} EUR a month" if cheapest else "none")
    pulumi.export("monthlyEur", {row["cloud"]: row["total_eur"] for row in figures["clouds"]})
    pulumi.export("plans", {row["cloud"]: row["plans"] for row in figures["clouds"]})
    pulumi.export("reasons", {row["cloud"]: row["reason"] for row in figures["clouds"] if row["reason"]})
