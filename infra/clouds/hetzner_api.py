"""Reading Hetzner's API before anything is registered: where the stack already is, and what can be ordered today."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import httpx

from infra import naming
from infra.catalog import Catalog
from infra.clouds import CloudError, Placement
from infra.plan import Choice, Plan
from infra.settings import Settings

TIMEOUT = httpx.Timeout(20.0, connect=5.0)


class Reader:
    """A read-only client of the API at `settings.hcloud_endpoint`; `transport` is a seam for tests."""

    def __init__(self, settings: Settings, transport: httpx.BaseTransport | None = None) -> None:
        self.endpoint = settings.hcloud_endpoint.rstrip("/")
        self.client = httpx.Client(
            headers={"Authorization": f"Bearer {settings.secrets.cloud_token}"},
            timeout=TIMEOUT,
            transport=transport or httpx.HTTPTransport(retries=2),
        )

    def rows(self, kind: str, **query: str) -> list[dict[str, Any]]:
        """All objects of `kind` matching `query`, over all pages. Raises CloudError with the remedy."""
        found: list[dict[str, Any]] = []
        page: int | None = 1
        while page:
            body = self._get(f"/{kind}", {**query, "page": str(page), "per_page": "50"})
            found += body[kind]
            page = ((body.get("meta") or {}).get("pagination") or {}).get("next_page")
        return found

    def _get(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        try:
            response = self.client.get(self.endpoint + path, params=dict(query))
        except httpx.HTTPError as error:
            remedy = "check the network, or hcloud:endpoint; the local cloud is started by `make cloud`"
            raise CloudError(f"Hetzner's API at {self.endpoint} can't be reached ({error}): {remedy}") from error
        if response.status_code == httpx.codes.UNAUTHORIZED:
            raise CloudError(
                f"Hetzner's API at {self.endpoint} refused the token (401): set hcloud:token or HCLOUD_TOKEN to a valid"
                " one of the project (read & write)"
            )
        if response.status_code != httpx.codes.OK:
            raise CloudError(f"Hetzner's API answered GET {path} with {response.status_code}: {response.text[:200]}")
        content: dict[str, Any] = response.json()
        return content


def place(plan: Plan, settings: Settings, catalog: Catalog, transport: httpx.BaseTransport | None = None) -> Placement:
    """The placement of `plan`: where a server or volume of this stack exists, there; else the first orderable choice.

    An existing server keeps its type while it fits the plan, orderable or not. Raises CloudError.
    """
    reader = Reader(settings, transport)
    selector = naming.selector(plan.stack)
    servers = reader.rows("servers", label_selector=selector)
    volumes = reader.rows("volumes", label_selector=selector)
    offered = _offer(reader.rows("server_types"))
    choice, why = _choose(plan, servers, volumes, offered)
    return Placement(
        choice=choice,
        why=why,
        known_ssh_keys=_foreign_keys(reader.rows("ssh_keys"), plan.stack),
        notes=_price_notes(choice, offered, catalog),
    )


def _offer(rows: list[dict[str, Any]]) -> dict[Choice, Decimal | None]:
    """Everything that can be ordered now -> its net monthly price there (None where the price list lacks it)."""
    offer: dict[Choice, Decimal | None] = {}
    for row in rows:
        prices = {price["location"]: Decimal(price["price_monthly"]["net"]) for price in row.get("prices", [])}
        for location in row.get("locations", []):
            if location.get("available", True):
                offer[Choice(location["name"], row["name"])] = prices.get(location["name"])
    return offer


def _choose(
    plan: Plan, servers: list[dict[str, Any]], volumes: list[dict[str, Any]], offered: Mapping[Choice, Decimal | None]
) -> tuple[Choice, str]:
    choices = plan.choices
    if servers:
        location = _location(servers[0])
        now = Choice(location, servers[0]["server_type"]["name"])
        if now.server_type in {choice.server_type for choice in choices}:
            return now, "where its server is"
        types = dict.fromkeys(choice.server_type for choice in choices)
        choices = tuple(Choice(location, name) for name in types)
        why = f"in place of {now.server_type}, which does not fit the plan any more"
    elif volumes:
        location = _location(volumes[0])
        choices = tuple(Choice(location, name) for name in dict.fromkeys(choice.server_type for choice in choices))
        why = "where its volume is"
    else:
        why = "first orderable of the configured list"
    skipped: list[str] = []
    for choice in choices:
        if choice in offered:
            return choice, why + (f"; not orderable: {', '.join(skipped)}" if skipped else "")
        skipped.append(str(choice))
    raise CloudError(
        f"none of these can be ordered now: {', '.join(skipped)}; "
        "add to sekha:regions or sekha:serverTypes, or try later"
    )


def _location(row: Mapping[str, Any]) -> str:
    name: str = row["location"]["name"]
    return name


def _foreign_keys(rows: list[dict[str, Any]], stack: str) -> dict[str, int]:
    """SSH keys of the project that this stack did not make: blob -> id. Hetzner refuses a second copy of a key."""
    return {
        " ".join(row["public_key"].split()[:2]): int(row["id"])
        for row in rows
        if row.get("labels", {}).get(naming.STACK_LABEL) != stack
    }


def _price_notes(choice: Choice, offered: Mapping[Choice, Decimal | None], catalog: Catalog) -> tuple[str, ...]:
    price = offered.get(choice)
    known = catalog.server_types[choice.server_type].monthly.get(choice.location)
    if price is None or known is None or abs(price - known) < Decimal("0.01"):
        return ()
    note = f"{choice} costs {price:.2f} {catalog.currency} a month today, not {known} as on {catalog.as_of}"
    return (f"{note}: infra/catalog.yaml is out of date",)
