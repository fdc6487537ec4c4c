"""Reading DigitalOcean's API before anything is registered: where the stack already is, what can be ordered today."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import httpx

from infra import naming
from infra.catalog import Catalog
from infra.clouds import CloudError, Placement, placing
from infra.plan import Choice, Plan
from infra.settings import Settings

API = "https://api.digitalocean.com"
TIMEOUT = httpx.Timeout(20.0, connect=5.0)
PAGES = 100  # bounds the loop over pages


class Reader:
    """A read-only client of the API; `transport` is a seam for tests."""

    def __init__(self, settings: Settings, transport: httpx.BaseTransport | None = None) -> None:
        self.client = httpx.Client(
            base_url=API,
            headers={"Authorization": f"Bearer {settings.secrets.cloud_token}"},
            timeout=TIMEOUT,
            transport=transport or httpx.HTTPTransport(retries=2),
        )

    def rows(self, path: str, kind: str, **query: str) -> list[dict[str, Any]]:
        """All objects under `path`, over all pages; `kind` is their key in the answer. Raises CloudError."""
        found: list[dict[str, Any]] = []
        for page in range(1, PAGES + 1):
            body = self._get(path, {**query, "page": str(page), "per_page": "200"})
            found += body[kind]
            if not ((body.get("links") or {}).get("pages") or {}).get("next"):
                break
        return found

    def exists(self, path: str) -> bool:
        """Whether there is something at `path`."""
        return bool(self._get(path, {}, missing=True))

    def _get(self, path: str, query: dict[str, str], missing: bool = False) -> dict[str, Any]:
        try:
            response = self.client.get(path, params=query)
        except httpx.HTTPError as error:
            raise CloudError(f"DigitalOcean's API at {API} can't be reached ({error}): check the network") from error
        if response.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise CloudError(
                f"DigitalOcean's API refused the token ({response.status_code}) for {path}: set digitalocean:token or "
                "DIGITALOCEAN_TOKEN to a valid one (read & write)"
            )
        if missing and response.status_code == httpx.codes.NOT_FOUND:
            return {}
        if response.status_code != httpx.codes.OK:
            raise CloudError(
                f"DigitalOcean's API answered GET {path} with {response.status_code}: {response.text[:200]}"
            )
        content: dict[str, Any] = response.json()
        return content


def place(plan: Plan, settings: Settings, catalog: Catalog, transport: httpx.BaseTransport | None = None) -> Placement:
    """The placement of `plan`: where a droplet or volume of this stack exists, there; else the first that is sold.

    Raises CloudError, also when the image or the DNS zone is not there.
    """
    reader, tag = Reader(settings, transport), naming.tag(plan.stack)
    droplets = reader.rows("/v2/droplets", "droplets", tag_name=tag)
    volumes = [row for row in reader.rows("/v2/volumes", "volumes") if tag in (row.get("tags") or [])]
    server = Choice(droplets[0]["region"]["slug"], droplets[0]["size_slug"]) if droplets else None
    offered = _offer(reader.rows("/v2/sizes", "sizes"))
    choice, why = placing.choose(plan, server, volumes[0]["region"]["slug"] if volumes else None, offered)
    if not reader.exists(f"/v2/images/{plan.image}"):
        raise CloudError(f"DigitalOcean has no image {plan.image!r} any more; change it in infra/catalog.yaml")
    if plan.dns_zone and not reader.exists(f"/v2/domains/{plan.dns_zone}"):
        raise CloudError(
            f"sekha:dnsZone = {plan.dns_zone}: the account has no such domain; add it in DigitalOcean's console "
            "(Networking, Domains), or leave dnsZone empty and make the record where the domain's DNS is"
        )
    return Placement(
        choice=choice,
        why=why,
        known_ssh_keys=_foreign_keys(reader.rows("/v2/account/keys", "ssh_keys"), plan.stack),
        notes=placing.price_notes(choice, offered, catalog),
    )


def _offer(rows: list[dict[str, Any]]) -> dict[Choice, Decimal | None]:
    return {
        Choice(region, row["slug"]): Decimal(str(row["price_monthly"]))
        for row in rows
        if row.get("available", True)
        for region in row["regions"]
    }


def _foreign_keys(rows: list[dict[str, Any]], stack: str) -> dict[str, int]:
    """SSH keys of the account that this stack did not make: blob -> id. A second copy of a key is refused."""
    own = naming.resource(stack, "admin-")
    return {" ".join(row["public_key"].split()[:2]): int(row["id"]) for row in rows if not row["name"].startswith(own)}
