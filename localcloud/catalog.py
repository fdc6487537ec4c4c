"""The read-only catalogue: locations, datacenters, server and load balancer types, images, ISOs, prices.

Turns catalog.yaml into the objects the API answers with. Pure data, loaded once.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from localcloud.store import Data

TB = 1024**4
HOURS = 625  # a month costs at most so many hours: Hetzner's hourly price is the monthly one divided by about that


@cache
def _file() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "catalog.yaml").read_text())
    return data


def price(net: float | Decimal) -> dict[str, str]:
    """Money as the API writes it: strings with net and gross EUR."""
    exact = Decimal(str(net))
    gross = exact * (100 + _file()["vat_rate"]) / 100
    return {"net": f"{exact:.10f}", "gross": f"{gross:.16f}"}


def _prices(monthly: float, places: list[str], traffic_tb: int) -> list[Data]:
    return [
        {
            "location": place,
            "price_hourly": price(round(Decimal(str(monthly)) / HOURS, 4)),
            "price_monthly": price(monthly),
            "included_traffic": traffic_tb * TB,
            "price_per_tb_traffic": price(_file()["prices"]["traffic_tb"]),
        }
        for place in places
    ]


@cache
def locations() -> list[Data]:
    """All locations by id."""
    return [{key: value for key, value in row.items() if key != "datacenter"} for row in _file()["locations"]]


@cache
def datacenters() -> list[Data]:
    """One datacenter per location; gone upstream since October 2026, older clients still ask."""
    rows = []
    for row, location in zip(_file()["locations"], locations(), strict=True):
        here = [t["id"] for t in server_types() if location["name"] in [place["name"] for place in t["locations"]]]
        types = {"supported": here, "available": here, "available_for_migration": here}
        description = f"{location['city']} virtual DC"
        rows.append({**row["datacenter"], "description": description, "location": location, "server_types": types})
    return sorted(rows, key=lambda row: int(row["id"]))


def datacenter_of(location: str) -> Data:
    """The datacenter in the location of that name."""
    return next(row for row in datacenters() if row["location"]["name"] == location)


def _server_type(row: Data) -> Data:
    family = _file()["families"][row["family"]]
    places = [place for place in locations() if place["name"] in family["locations"]]
    return {
        "id": row["id"],
        "name": row["name"],
        "description": row["name"].upper(),
        "category": family["category"],
        "cores": row["cores"],
        "memory": row["memory"],
        "disk": row["disk"],
        "storage_type": "local",
        "cpu_type": family["cpu_type"],
        "architecture": family["architecture"],
        "included_traffic": family["traffic_tb"] * TB,
        "deprecated": False,
        "deprecation": None,
        "prices": _prices(row["monthly"], family["locations"], family["traffic_tb"]),
        "locations": [
            {"id": p["id"], "name": p["name"], "deprecation": None, "available": True, "recommended": False}
            for p in places
        ],
    }


@cache
def server_types() -> list[Data]:
    """All server types by id, with prices and the locations they are offered in."""
    return sorted((_server_type(row) for row in _file()["server_types"]), key=lambda row: int(row["id"]))


@cache
def load_balancer_types() -> list[Data]:
    """All load balancer types, by id, offered everywhere."""
    places = [place["name"] for place in locations()]
    rows = []
    for row in _file()["load_balancer_types"]:
        fields = {key: value for key, value in row.items() if key != "monthly"}
        rows.append({**fields, "prices": _prices(row["monthly"], places, 20), "deprecated": None, "deprecation": None})
    return rows


@cache
def storage_box_types() -> list[Data]:
    """All storage box types by id, offered in Europe."""
    rows = []
    for row in _file()["storage_box_types"]:
        prices = [
            {**{key: value for key, value in price_of.items() if "price" in key and "traffic" not in key},
             "location": price_of["location"], "setup_fee": price(0)}
            for price_of in _prices(row["monthly"], ["fsn1", "hel1"], 0)
        ]  # fmt: skip
        fields = {key: value for key, value in row.items() if key != "monthly"}
        rest = {"size": row["size"] * TB, "description": row["name"].upper(), "deprecation": None, "prices": prices}
        rows.append({**fields, **rest})
    return rows


@cache
def images() -> list[Data]:
    """The system images; x86 first, so that a client that asks by name alone and takes the first gets x86."""
    return [
        {
            **row,
            "type": "system",
            "status": "available",
            "image_size": None,
            "disk_size": 5.0,
            "created_from": None,
            "bound_to": None,
            "rapid_deploy": True,
            "protection": {"delete": False},
            "deprecated": None,
            "deprecation": None,
            "deleted": None,
            "labels": {},
        }
        for row in _file()["images"]
    ]


@cache
def isos() -> list[Data]:
    """The public ISO images (listed only)."""
    return [{**row, "type": "public", "deprecation": None, "deprecated": None} for row in _file()["isos"]]


@cache
def pricing() -> Data:
    """All prices. floating_ips has as many rows as primary_ips: hcloud-go indexes one by the other."""
    prices, places = _file()["prices"], [place["name"] for place in locations()]
    floating = [
        {"type": kind, "prices": [{"location": place, "price_monthly": price(net)} for place in places]}
        for kind, net in prices["floating_ip"].items()
    ]
    primary = [
        {
            "type": kind,
            "prices": [
                {
                    "location": place,
                    "price_hourly": price(round(Decimal(str(net)) / HOURS, 4)),
                    "price_monthly": price(net),
                }
                for place in places
            ],
        }
        for kind, net in prices["primary_ip"].items()
    ]
    return {
        "currency": _file()["currency"],
        "vat_rate": f"{_file()['vat_rate']:.6f}",
        "image": {"price_per_gb_month": price(prices["image_gb"])},
        "floating_ip": {"price_monthly": price(prices["floating_ip"]["ipv4"])},
        "floating_ips": floating,
        "primary_ips": primary,
        "traffic": {"price_per_tb": price(prices["traffic_tb"])},
        "server_backup": {"percentage": f"{prices['server_backup_percent']:.10f}"},
        "server_types": [{key: row[key] for key in ("id", "name", "prices")} for row in server_types()],
        "load_balancer_types": [{key: row[key] for key in ("id", "name", "prices")} for row in load_balancer_types()],
        "volume": {"price_per_gb_month": price(prices["volume_gb"])},
    }
