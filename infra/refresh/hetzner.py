"""Hetzner's GET /pricing and /server_types: servers, volumes, addresses, load balancer, machine backup, traffic."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import httpx

from infra import catalog, catalog_prices
from infra.refresh.facts import CATALOG, PRICES, Fact, Found, RefreshError

SOURCE = "hetzner-api"


def fetch(client: httpx.Client, today: datetime.date) -> Found:
    """What the API says; `client` has the API as base_url, and the token. Raises RefreshError."""
    pricing = _get(client, "pricing")["pricing"]
    offer, prices = catalog.load("hetzner"), catalog_prices.load("hetzner")
    if pricing["currency"] != offer.currency:
        raise RefreshError(
            f"Hetzner: the account is billed in {pricing['currency']}, the catalog is in {offer.currency}"
        )
    found = Found(SOURCE, f"GET /v1/pricing and /v1/server_types on {today}")
    types = {row["name"]: row for row in _rows(client, "server_types")}
    for name, known in offer.server_types.items():
        if name not in types:
            found.notes.append(f"{name} is not sold any more: drop it from {CATALOG}")
            continue
        _server(found, name, known.monthly, types[name])
    if new := sorted(set(types) - set(offer.server_types)):
        found.notes.append(f"not in {CATALOG}: {', '.join(new)}")
    at = prices.region
    found.price(CATALOG, ("hetzner", "volume", "per_gb_month"), pricing["volume"]["price_per_gb_month"]["net"])
    ipv4 = next(row for row in pricing["primary_ips"] if row["type"] == "ipv4")
    found.price(CATALOG, ("hetzner", "primary_ipv4", "month"), _at(ipv4["prices"], at))
    balancers = {row["name"]: row for row in pricing["load_balancer_types"]}
    own = ("clouds", "hetzner")
    found.price(PRICES, (*own, "load_balancer", "monthly"), _at(balancers[prices.load_balancer.name]["prices"], at))
    found.price(PRICES, (*own, "machine_backup", "percent_of_server"), pricing["server_backup"]["percentage"])
    traffic = next(row for row in types.values() if any(price["location"] == at for price in row["prices"]))
    per_tb = next(price["price_per_tb_traffic"]["net"] for price in traffic["prices"] if price["location"] == at)
    found.price(PRICES, (*own, "egress", "per_gb"), Decimal(per_tb) / 1000)
    found.rows += [(*own, "load_balancer"), (*own, "machine_backup"), (*own, "egress")]
    found.facts += [
        Fact(CATALOG, ("hetzner", "as_of"), today.isoformat()),
        Fact(CATALOG, ("hetzner", "source"), found.text),
    ]
    if prices.superseded and prices.superseded[0] <= today:
        found.gone.append((*own, "superseded"))  # what was announced is in the list now
    return found


def _server(found: Found, name: str, known: Mapping[str, Decimal], row: Mapping[str, Any]) -> None:
    sold = {place["name"]: place for place in row["locations"]}
    for price in row["prices"]:
        at = price["location"]
        if at in known:
            found.price(CATALOG, ("hetzner", "server_types", name, "monthly", at), price["price_monthly"]["net"])
        elif at in sold:
            found.notes.append(f"{name} is sold in {at} too, for {price['price_monthly']['net']}")
    for at in known:
        if at not in sold or not sold[at].get("available", True):
            found.notes.append(f"{name} can't be ordered in {at} now")
        elif sold[at].get("deprecation"):
            found.notes.append(f"{name} is deprecated in {at}")


def _at(prices: list[dict[str, Any]], location: str) -> str:
    net: str = next(row["price_monthly"]["net"] for row in prices if row["location"] == location)
    return net


def _rows(client: httpx.Client, kind: str) -> list[dict[str, Any]]:
    rows, page = [], 1
    while page:
        body = _get(client, kind, {"page": str(page), "per_page": "50"})
        rows += body[kind]
        page = ((body.get("meta") or {}).get("pagination") or {}).get("next_page") or 0
    return rows


def _get(client: httpx.Client, path: str, params: Mapping[str, str] | None = None) -> dict[str, Any]:
    answer = client.get(path, params=params)
    if answer.status_code != httpx.codes.OK:
        raise RefreshError(f"Hetzner answered GET /{path} with {answer.status_code}: {answer.text[:200]}")
    body: dict[str, Any] = answer.json()
    return body
