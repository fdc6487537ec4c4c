"""Reading Hetzner's API before anything is registered: where the stack already is, and what can be ordered today."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import httpx

from infra import naming
from infra.catalog import Catalog
from infra.clouds import CloudError, Placement, placing
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
    server = Choice(_location(servers[0]), servers[0]["server_type"]["name"]) if servers else None
    choice, why = placing.choose(plan, server, _location(volumes[0]) if volumes else None, offered)
    if plan.dns_zone and not reader.rows("zones", name=plan.dns_zone):
        raise CloudError(
            f"sekha:dnsZone = {plan.dns_zone}: the project has no such zone; make it in Hetzner's console (DNS), or "
            "leave dnsZone empty and make the record where the domain's DNS is"
        )
    return Placement(
        choice=choice,
        why=why,
        known_ssh_keys=_foreign_keys(reader.rows("ssh_keys"), plan.stack),
        notes=placing.price_notes(choice, offered, catalog),
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
