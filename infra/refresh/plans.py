"""Plans of DigitalOcean (GET /v2/sizes), Linode (GET /v4/linode/types) and AWS (Price List, GetProducts)."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from typing import Any

import httpx

from infra import catalog, catalog_prices
from infra.refresh.facts import CATALOG, PRICES, Fact, Found, RefreshError


def digitalocean(client: httpx.Client, today: datetime.date) -> Found:
    """Droplets' monthly prices, and whether they can be ordered in the catalog's region. Raises RefreshError."""
    found = Found("digitalocean-api", f"GET /v2/sizes on {today}")
    sizes = {row["slug"]: row for row in _pages(client, "v2/sizes", "sizes", "per_page", "DigitalOcean")}
    region = catalog_prices.load("digitalocean").region
    for plan in catalog_prices.load("digitalocean").plans:
        path = ("clouds", "digitalocean", "plans", plan.name)
        row = sizes.get(plan.name)
        sold = bool(row and row["available"] and region in row["regions"])
        _orderable(found, path, plan.orderable, sold)
        if row:
            found.price(PRICES, (*path, "monthly"), row["price_monthly"])
            found.rows.append(path)
        else:
            found.notes.append(f"{plan.name} is not sold any more")
    return found


def linode(client: httpx.Client, today: datetime.date) -> Found:
    """Linodes' monthly prices in the catalog's region. Raises RefreshError."""
    found = Found("linode-api", f"GET /v4/linode/types on {today}")
    types = {row["id"]: row for row in _pages(client, "v4/linode/types", "data", "page_size", "Linode")}
    region = catalog_prices.load("linode").region
    for plan in catalog_prices.load("linode").plans:
        path = ("clouds", "linode", "plans", plan.name)
        row = types.get(plan.name)
        _orderable(found, path, plan.orderable, bool(row))
        if row:
            own = [price for price in row.get("region_prices") or [] if price["id"] == region]
            found.price(PRICES, (*path, "monthly"), (own or [row["price"]])[0]["monthly"])
            found.rows.append(path)
        else:
            found.notes.append(f"{plan.name} is not sold any more")
    return found


def aws(pricing: Any, today: datetime.date) -> Found:
    """Instances' hourly prices on demand in every region of the catalog; `pricing` is boto3's client. RefreshError."""
    found = Found("aws-api", f"AWS Price List, GetProducts on {today}")
    own = catalog_prices.load("aws").region
    for plan in catalog_prices.load("aws").plans:
        path = ("clouds", "aws", "plans", plan.name)
        hourly = _hourly(pricing, plan.name, own)
        _orderable(found, path, plan.orderable, hourly is not None)
        if hourly:
            found.price(PRICES, (*path, "hourly"), hourly)
            found.rows.append(path)
        for region in catalog.load("aws").server_types[plan.name].monthly if plan.orderable else ():
            if region == own:
                continue
            if there := _hourly(pricing, plan.name, region):
                found.price(CATALOG, ("aws", "hourly_elsewhere", plan.name, region), there)
            else:
                found.notes.append(f"{plan.name} is not sold in {region}")
    return found


def _orderable(found: Found, path: tuple[str, ...], was: bool, now: bool) -> None:
    if was != now:
        found.facts.append(Fact(PRICES, (*path, "orderable"), str(now).lower()))


def _pages(client: httpx.Client, path: str, key: str, size: str, who: str) -> Iterator[dict[str, Any]]:
    """All rows of a paged list; both APIs number pages from 1 and answer an empty list after the last."""
    for page in range(1, 51):
        answer = client.get(path, params={size: "100", "page": str(page)})
        if answer.status_code == httpx.codes.NOT_FOUND and page > 1:
            return
        if answer.status_code != httpx.codes.OK:
            raise RefreshError(f"{who} answered GET /{path} with {answer.status_code}: {answer.text[:200]}")
        rows: list[dict[str, Any]] = answer.json()[key]
        yield from rows
        if len(rows) < 100:
            return


def _hourly(pricing: Any, instance: str, region: str) -> str | None:
    """What an hour of `instance` costs on demand, Linux, shared tenancy; None where it is not sold."""
    wanted = {
        "instanceType": instance, "regionCode": region, "operatingSystem": "Linux", "tenancy": "Shared",
        "preInstalledSw": "NA", "capacitystatus": "Used", "licenseModel": "No License required",
    }  # fmt: skip
    filters = [{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in wanted.items()]
    prices = set()
    for text in pricing.get_products(ServiceCode="AmazonEC2", Filters=filters, MaxResults=100)["PriceList"]:
        for term in json.loads(text)["terms"].get("OnDemand", {}).values():
            for dimension in term["priceDimensions"].values():
                if dimension["unit"] == "Hrs" and "USD" in dimension["pricePerUnit"]:
                    prices.add(str(dimension["pricePerUnit"]["USD"]))
    if len(prices) > 1:
        raise RefreshError(f"AWS: more than one price of {instance} in {region}: {', '.join(sorted(prices))}")
    return prices.pop() if prices else None
