"""make refresh-prices [WRITE=1] [OUT=file]: the catalog's prices from the clouds' own lists, as a diff to be reviewed.

Asks each cloud whose credentials are there: HCLOUD_TOKEN (HCLOUD_ENDPOINT), DIGITALOCEAN_TOKEN (DIGITALOCEAN_API_URL),
LINODE_TOKEN (LINODE_URL), and AWS's usual ones. Prints the diff, writes it to OUT, and with WRITE=1 into the catalog.
"""

from __future__ import annotations

import datetime
import difflib
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from infra.checks import LOOPBACK
from infra.refresh import facts, hetzner, plans
from infra.refresh.facts import CATALOG, PRICES, Found, RefreshError

FOLDER = Path(__file__).resolve().parent.parent
TIMEOUT = httpx.Timeout(30.0, connect=10.0)


def client_of(url: str, token: str) -> httpx.Client:
    """A client of the API at `url`, to be closed."""
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=url.rstrip("/") + "/", headers=headers, timeout=TIMEOUT)


def _token(environ: Mapping[str, str], *names: str) -> str:
    return next((environ[name] for name in names if environ.get(name)), "")


def _hetzner(environ: Mapping[str, str], today: datetime.date) -> Found | None:
    token, url = _token(environ, "HCLOUD_TOKEN"), environ.get("HCLOUD_ENDPOINT") or "https://api.hetzner.cloud/v1"
    if not token:
        return None
    with client_of(url, token) as client:
        return hetzner.fetch(client, today)


def _digitalocean(environ: Mapping[str, str], today: datetime.date) -> Found | None:
    token = _token(environ, "DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN")
    url = environ.get("DIGITALOCEAN_API_URL") or "https://api.digitalocean.com"
    if not token:
        return None
    with client_of(url, token) as client:
        return plans.digitalocean(client, today)


def _linode(environ: Mapping[str, str], today: datetime.date) -> Found | None:
    token, url = _token(environ, "LINODE_TOKEN"), environ.get("LINODE_URL") or "https://api.linode.com"
    if not token:
        return None
    with client_of(url, token) as client:
        return plans.linode(client, today)


def _aws(environ: Mapping[str, str], today: datetime.date) -> Found | None:
    import boto3  # takes half a second, and only AWS needs it
    from botocore.exceptions import BotoCoreError, ClientError

    if not any(environ.get(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_ROLE_ARN")):
        return None
    try:
        return plans.aws(boto3.client("pricing", region_name="us-east-1"), today)
    except (BotoCoreError, ClientError) as error:
        raise RefreshError(f"AWS: {error}") from error


CLOUDS: dict[str, Callable[[Mapping[str, str], datetime.date], Found | None]] = {
    "hetzner": _hetzner, "digitalocean": _digitalocean, "linode": _linode, "aws": _aws,
}  # fmt: skip


def main(environ: Mapping[str, str] = os.environ, folder: Path = FOLDER, today: datetime.date | None = None) -> int:
    """Run; 0 when at least one cloud was asked, 1 when one failed, 2 when none has credentials."""
    today = today or datetime.datetime.now(datetime.UTC).date()
    files = {name: (folder / name).read_text() for name in (CATALOG, PRICES)}
    found: dict[str, Found] = {}
    failed = []
    for cloud, ask in CLOUDS.items():
        try:
            answer = ask(environ, today)
        except (RefreshError, httpx.HTTPError, KeyError, ValueError) as error:
            failed.append(f"{cloud}: {error!r}" if isinstance(error, KeyError) else f"{cloud}: {error}")
            continue
        if answer is None:
            print(f"refresh-prices: {cloud} skipped: no credentials", file=sys.stderr)
        else:
            found[cloud] = answer
    after = facts.apply(files, list(found.values()), today)
    diff = "".join(_diff(name, files[name], after[name]) for name in files)
    print(diff or "no price differs", end="" if diff else "\n")
    for cloud, each in found.items():
        for note in each.notes:
            print(f"refresh-prices: {cloud}: {note}", file=sys.stderr)
    if out := environ.get("OUT"):
        Path(out).write_text(diff)
    if environ.get("WRITE") == "1" and urlsplit(environ.get("HCLOUD_ENDPOINT", "")).hostname in LOOPBACK:
        failed.append("not written: HCLOUD_ENDPOINT is the local cloud, whose prices are not Hetzner's")
    elif environ.get("WRITE") == "1":
        for name, text in after.items():
            (folder / name).write_text(text)
    for line in failed:
        print(f"refresh-prices: {line}", file=sys.stderr)
    if environ.get("JSON") == "1":
        values = {cloud: len(each.facts) for cloud, each in found.items()}
        print(json.dumps({"asked": values, "failed": failed, "notes": sum(len(e.notes) for e in found.values())}))
    return 1 if failed else 0 if found else 2


def _diff(name: str, before: str, after: str) -> str:
    path = f"infra/{name}"
    lines = difflib.unified_diff(before.splitlines(True), after.splitlines(True), f"a/{path}", f"b/{path}")
    return "".join(lines)


if __name__ == "__main__":
    sys.exit(main())
