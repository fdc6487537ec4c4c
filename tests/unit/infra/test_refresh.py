"""Prices from the clouds' own lists: the local cloud's /pricing, and answers in the recorded shape of the others."""

from __future__ import annotations

import datetime
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
import uvicorn
import yaml
from botocore.stub import ANY, Stubber

from infra import catalog_prices
from infra.refresh import __main__ as command
from infra.refresh import facts, hetzner, plans, yaml_edit
from infra.refresh.facts import CATALOG, PRICES, Found, RefreshError
from localcloud import catalog as offered
from localcloud.api.app import create_app
from localcloud.fake_backend import FakeBackend
from localcloud.store import Store
from localcloud.worker import Cloud
from tests.support import wait_for

TODAY = datetime.date(2027, 1, 2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (CATALOG, PRICES):
        shutil.copy(command.FOLDER / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def local(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The local cloud's API on a port of its own: the environment that names it."""
    cloud = Cloud(Store(tmp_path / "state.db"), FakeBackend())
    cloud.start()
    token = cloud.store.add_token(cloud.store.add_project("test"))
    server = uvicorn.Server(uvicorn.Config(create_app(cloud), port=0, log_config=None))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_for(lambda: server.started, 20, "API")
    port = server.servers[0].sockets[0].getsockname()[1]
    yield {"HCLOUD_ENDPOINT": f"http://127.0.0.1:{port}/v1", "HCLOUD_TOKEN": token, "JSON": "1"}
    server.should_exit = True
    thread.join(10)
    cloud.stop(5)


def load(folder: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((folder / name).read_text())
    return content


def test_hetzner_from_the_local_cloud(
    folder: Path, local: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = json.loads(json.dumps(offered.server_types()))
    for row in rows:
        if row["name"] == "cx23":
            row["prices"][0]["price_monthly"]["net"] = "4.4900000000"  # fsn1
            del row["locations"][1]  # nbg1
    monkeypatch.setattr(offered, "pricing", offered.pricing.__wrapped__)  # the cached one is for the other tests
    monkeypatch.setattr(offered, "server_types", lambda: [row for row in rows if row["name"] != "cax31"])
    before = {name: (folder / name).read_text() for name in (CATALOG, PRICES)}
    assert command.main(local, folder, TODAY) == 0
    printed = capsys.readouterr()
    assert "monthly: {fsn1: 4.49, nbg1: 3.99, hel1: 3.99}" in printed.out
    assert "+++ b/infra/catalog.yaml" in printed.out
    assert "-    superseded:" in printed.out
    assert "cx23 can't be ordered in nbg1 now" in printed.err
    assert "cax31 is not sold any more" in printed.err
    assert "not in catalog.yaml: cax41, cpx51" in printed.err
    assert {name: (folder / name).read_text() for name in before} == before  # only shown
    assert command.main({**local, "WRITE": "1"}, folder, TODAY) == 1
    assert {
        name: (folder / name).read_text() for name in before
    } == before  # the local cloud's prices are not Hetzner's


def test_what_is_written_is_the_catalog_with_other_values(folder: Path, local: dict[str, str]) -> None:
    with command.client_of(local["HCLOUD_ENDPOINT"], local["HCLOUD_TOKEN"]) as api:
        found = hetzner.fetch(api, TODAY)
    files = {name: (folder / name).read_text() for name in (CATALOG, PRICES)}
    after = facts.apply(files, [found], TODAY)
    one, two = yaml.safe_load(files[CATALOG]), yaml.safe_load(after[CATALOG])
    assert (two["hetzner"].pop("as_of"), two["hetzner"].pop("source")) == (TODAY, found.text)
    del one["hetzner"]["as_of"], one["hetzner"]["source"]
    assert one == two  # the local cloud sells for the prices of the catalog
    prices = yaml.safe_load(after[PRICES])
    assert "superseded" not in prices["clouds"]["hetzner"]
    assert prices["clouds"]["hetzner"]["load_balancer"]["source"] == "hetzner-api"
    assert prices["sources"]["hetzner-api"] == {"as_of": TODAY, "fetched": True, "text": found.text}
    comments = [line for line in files[PRICES].splitlines() if line.startswith("#")]
    assert [line for line in after[PRICES].splitlines() if line.startswith("#")] == comments
    assert facts.apply(after, [found], TODAY) == after


def sizes(request: httpx.Request) -> httpx.Response:
    """GET /v2/sizes in DigitalOcean's shape, two pages."""
    assert request.url.path == "/v2/sizes"
    filler = [_size(f"x-{number}", 1.0) for number in range(99)]
    first = [_size("s-2vcpu-4gb", 26.0), *filler]
    second = [_size("s-4vcpu-8gb", 48.0, regions=["nyc1"]), _size("s-8vcpu-16gb", 96.0, available=False)]
    page = int(request.url.params["page"])
    return httpx.Response(200, json={"sizes": [first, second][page - 1], "links": {}, "meta": {"total": 102}})


def _size(slug: str, monthly: float, available: bool = True, regions: list[str] | None = None) -> dict[str, Any]:
    return {
        "slug": slug, "memory": 4096, "vcpus": 2, "disk": 80, "transfer": 4.0, "price_monthly": monthly,
        "price_hourly": monthly / 672, "regions": regions or ["fra1", "nyc1"], "available": available,
    }  # fmt: skip


def types(request: httpx.Request) -> httpx.Response:
    """GET /v4/linode/types in Linode's shape."""
    assert request.url.path == "/v4/linode/types"
    row = {
        "id": "g6-standard-2", "label": "Linode 4GB", "memory": 4096, "vcpus": 2, "disk": 81920, "transfer": 4000,
        "price": {"hourly": 0.036, "monthly": 24.0}, "addons": {"backups": {"price": {"hourly": 0.0, "monthly": 5.0}}},
        "region_prices": [{"id": "br-gru", "monthly": 33.6}, {"id": "eu-central", "monthly": 25.5}],
    }  # fmt: skip
    return httpx.Response(200, json={"data": [row], "page": 1, "pages": 1, "results": 1})


def client(answer: Callable[[httpx.Request], httpx.Response]) -> httpx.Client:
    return httpx.Client(base_url="https://cloud.example/", transport=httpx.MockTransport(answer))


def written(folder: Path, found: Found) -> dict[str, Any]:
    after = facts.apply({name: (folder / name).read_text() for name in (CATALOG, PRICES)}, [found], TODAY)
    (folder / PRICES).write_text(after[PRICES])
    (folder / CATALOG).write_text(after[CATALOG])
    return load(folder, PRICES)


def test_digitalocean(folder: Path) -> None:
    made = written(folder, plans.digitalocean(client(sizes), TODAY))
    rows = made["clouds"]["digitalocean"]["plans"]
    assert (rows["s-2vcpu-4gb"]["monthly"], rows["s-2vcpu-4gb"]["source"]) == (26.0, "digitalocean-api")
    assert rows["s-4vcpu-8gb"]["orderable"] is False  # not in the catalog's region
    assert rows["s-8vcpu-16gb"]["orderable"] is False
    assert rows["g-2vcpu-8gb"] == {**rows["g-2vcpu-8gb"], "orderable": False, "monthly": 63}  # not on the list any more
    assert made["sources"]["digitalocean-api"]["fetched"] is True
    assert made["clouds"]["digitalocean"]["volume"] == {"per_gb": 0.1, "min_gb": 1, "max_gb": 16384}


def test_linode_prices_of_the_region(folder: Path) -> None:
    rows = written(folder, plans.linode(client(types), TODAY))["clouds"]["linode"]["plans"]
    assert rows["g6-standard-2"]["monthly"] == 25.5
    assert rows["g6-standard-4"]["orderable"] is False


def product(instance: str, region: str, hourly: str) -> str:
    """One row of GetProducts' PriceList, in AWS's shape."""
    dimension = {
        "unit": "Hrs",
        "pricePerUnit": {"USD": hourly},
        "beginRange": "0",
        "description": "per On Demand Linux",
    }
    terms = {"OnDemand": {"A.B": {"priceDimensions": {"A.B.C": dimension}, "effectiveDate": "2026-12-01T00:00:00Z"}}}
    attributes = {"instanceType": instance, "regionCode": region}
    return json.dumps({"product": {"attributes": attributes, "sku": "A"}, "terms": terms, "serviceCode": "AmazonEC2"})


class Pricing:
    """GetProducts, its answers checked against the service's model by botocore's own stub."""

    def get_products(self, **asked: Any) -> Any:
        wanted = {row["Field"]: row["Value"] for row in asked["Filters"]}
        instance, region = wanted["instanceType"], wanted["regionCode"]
        rows = [] if instance == "m6i.large" else [product(instance, region, "0.0999000000")]
        real = boto3.client("pricing", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        stub = Stubber(real)
        parameters = {"ServiceCode": "AmazonEC2", "Filters": ANY, "MaxResults": 100}
        stub.add_response("get_products", {"FormatVersion": "aws_v1", "PriceList": rows}, parameters)
        with stub:
            return real.get_products(**asked)


def test_aws_in_every_region_of_the_catalog(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = catalog_prices.load("aws")
    few = [plan for plan in known.plans if plan.name in ("t3.large", "m6i.large")]
    smaller = type(known)(**{**vars(known), "plans": tuple(few)})
    monkeypatch.setattr(catalog_prices, "load", lambda cloud: smaller)
    made = written(folder, plans.aws(Pricing(), TODAY))
    rows = made["clouds"]["aws"]["plans"]
    assert (rows["t3.large"]["hourly"], rows["t3.large"]["source"]) == (0.0999, "aws-api")
    assert rows["m6i.large"]["orderable"] is False
    elsewhere = load(folder, CATALOG)["aws"]["hourly_elsewhere"]["t3.large"]
    assert set(elsewhere.values()) == {0.0999}


@pytest.mark.parametrize("status", [401, 500])
def test_a_refusal_is_told_and_writes_nothing(status: int) -> None:
    with pytest.raises(RefreshError, match=f"GET /v2/sizes with {status}"):
        plans.digitalocean(client(lambda _: httpx.Response(status, text="no")), TODAY)


def test_without_credentials_nothing_is_asked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main({}, folder, TODAY) == 2
    assert "no price differs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("path", "new", "after"),
    [
        (("a", "b"), "2", "# c\na: {b: 2, c: [1, 2]}  # d\ne:\n  f: >-\n    x\n    y\n  g: 1\n"),
        (("a", "n"), "2", "# c\na: {b: 1, c: [1, 2], n: 2}  # d\ne:\n  f: >-\n    x\n    y\n  g: 1\n"),
        (("e", "f"), "z", "# c\na: {b: 1, c: [1, 2]}  # d\ne:\n  f: z\n  g: 1\n"),
        (("e", "n"), "{x: 1}", "# c\na: {b: 1, c: [1, 2]}  # d\ne:\n  f: >-\n    x\n    y\n  g: 1\n  n: {x: 1}\n"),
    ],
)
def test_only_the_value_changes(path: tuple[str, ...], new: str, after: str) -> None:
    text = "# c\na: {b: 1, c: [1, 2]}  # d\ne:\n  f: >-\n    x\n    y\n  g: 1\n"
    assert yaml_edit.put(text, [(path, new)]) == after
    with pytest.raises(KeyError):
        yaml_edit.put(text, [(("none", "such"), "1")])


@pytest.mark.parametrize(
    ("amount", "text"),
    [("3.9900000000", "3.99"), ("48", "48"), ("20.50", "20.50"), ("20.0", "20"), ("0.0010", "0.001")],
)
def test_amounts_are_written_plainly(amount: str, text: str) -> None:
    assert facts.plain(Decimal(amount)) == text
