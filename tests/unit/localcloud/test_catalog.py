"""The catalogue: complete enough for every client."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from localcloud import catalog
from tests.unit.localcloud.conftest import Rig


def test_pricing_is_complete() -> None:
    pricing = catalog.pricing()
    assert set(pricing) == {
        "currency", "vat_rate", "image", "floating_ip", "floating_ips", "primary_ips", "traffic", "server_backup",
        "server_types", "load_balancer_types", "volume",
    }  # fmt: skip
    assert len(pricing["floating_ips"]) >= len(pricing["primary_ips"]) > 0
    assert len(pricing["server_types"]) == len(catalog.server_types())
    assert all(row["prices"] for row in pricing["server_types"] + pricing["load_balancer_types"])
    assert catalog.price(10) == {"net": "10.0000000000", "gross": "11.9000000000000000"}


@pytest.mark.parametrize(
    ("name", "cores", "memory", "disk"), [("cx23", 2, 4, 40), ("cx33", 4, 8, 80), ("cx43", 8, 16, 160)]
)
def test_server_types(name: str, cores: int, memory: float, disk: int) -> None:
    row = next(row for row in catalog.server_types() if row["name"] == name)
    assert (row["cores"], row["memory"], row["disk"], row["architecture"]) == (cores, memory, disk, "x86")
    assert set(row["locations"][0]) == {"id", "name", "deprecation", "available", "recommended"}
    assert {price["location"] for price in row["prices"]} == {place["name"] for place in row["locations"]}


def test_ids_are_unique() -> None:
    for rows in (catalog.server_types(), catalog.images(), catalog.isos(), catalog.locations(), catalog.datacenters()):
        assert len({row["id"] for row in rows}) == len(rows)


def test_through_the_client(rig: Rig) -> None:
    client = rig.client()
    server_type = client.server_types.get_by_name("cx23")
    assert server_type is not None
    assert server_type.id is not None
    assert client.server_types.get_by_id(server_type.id).name == "cx23"
    image = client.images.get_by_name_and_architecture("debian-13", "x86")
    assert image is not None
    assert [row.architecture for row in client.images.get_all(name="debian-13")] == ["x86", "arm"]
    assert {row.name for row in client.images.get_all(architecture=["arm"])} >= {"debian-12", "ubuntu-24.04"}
    assert len(client.locations.get_all()) == 6
    assert {row.name for row in client.load_balancer_types.get_all()} == {"lb11", "lb21", "lb31"}
    rows = rig.ask("GET", "/datacenters?name=fsn1-dc14")["datacenters"]
    assert [row["location"]["name"] for row in rows] == ["fsn1"]
    assert client.isos.get_all(architecture=["x86"], include_architecture_wildcard=True)
    path = "/images?architecture=x86&include_deprecated=true&name=debian-12"
    assert [row["name"] for row in rig.ask("GET", path)["images"]] == ["debian-12"]
    assert rig.ask("GET", "/pricing")["pricing"]["currency"] == "EUR"
    assert rig.error("DELETE", f"/images/{image.id}") == (403, "forbidden")


def test_the_local_cloud_and_the_planner_know_the_same_plans() -> None:
    """Two catalogues, one for what Hetzner would answer and one for planning: they must not drift apart."""
    planned = yaml.safe_load((Path(__file__).parents[3] / "infra" / "catalog.yaml").read_text())
    served = {row["name"]: row for row in catalog.server_types()}
    for name, plan in planned["hetzner"]["server_types"].items():
        row = served[name]
        sizes = (row["cores"], row["memory"], row["disk"])
        assert sizes == (plan["vcpus"], plan["memory_gb"], plan["disk_gb"]), name
        prices = {price["location"]: float(price["price_monthly"]["net"]) for price in row["prices"]}
        assert prices == plan["monthly"], name
