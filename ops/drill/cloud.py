"""Losing a stack on the local cloud: the plug pulled, and server, volume, address and all the rest deleted."""

from __future__ import annotations

import time
from typing import Any

import httpx

from infra import naming
from infra.clouds.hetzner_inventory import TYPES
from ops import local
from ops.engine import OperatorError

DELETED_WITHIN = 60.0  # seconds for one object
LAST = ("volumes", "placement_groups", "primary_ips", "firewalls", "networks", "ssh_keys")


def place_of(server: dict[str, Any]) -> str:
    """The location of a server as the API gives it (`location`, in older answers inside `datacenter`)."""
    location = server.get("location") or server["datacenter"]["location"]
    return str(location["name"])


class Cloud:
    """The running local cloud's API, for what belongs to one stack."""

    def __init__(self, stack: str) -> None:
        env = local.cloud_env()
        self.selector = naming.selector(stack)
        token = {"Authorization": f"Bearer {env['HCLOUD_TOKEN']}"}
        self.api = httpx.Client(base_url=env["HCLOUD_ENDPOINT"], headers=token, timeout=60)

    def rows(self, kind: str) -> list[dict[str, Any]]:
        """The stack's objects of one kind."""
        found: list[dict[str, Any]] = self.api.get(f"/{kind}", params={"label_selector": self.selector}).json()[kind]
        return found

    def servers(self) -> list[str]:
        """What the stack runs on: `TYPE in LOCATION` of each server."""
        rows = [(row["server_type"]["name"], place_of(row)) for row in self.rows("servers")]
        return sorted(f"{plan} in {place}" for plan, place in rows)

    def pull_plug(self) -> float:
        """Cut the power of the stack's servers; the moment (Unix time) at which they were off."""
        for server in self.rows("servers"):
            action = self.api.post(f"/servers/{server['id']}/actions/poweroff").raise_for_status().json()["action"]
            self._finish(action)
        return time.time()

    def lose_everything(self) -> list[str]:
        """Delete all that the stack has; what was there, as `kind name`."""
        for kind in TYPES:
            for row in self.rows(kind):
                if (row.get("protection") or {}).get("delete"):
                    self.api.post(f"/{kind}/{row['id']}/actions/change_protection", json={"delete": False})
        gone = []
        for kind in ("servers", *LAST):
            for row in self.rows(kind):
                self._delete(kind, row)
                gone.append(f"{kind[:-1]} {row['name']}")
        return gone

    def _delete(self, kind: str, row: dict[str, Any]) -> None:
        end = time.monotonic() + DELETED_WITHIN
        while True:
            answer = self.api.delete(f"/{kind}/{row['id']}")
            if answer.status_code in (200, 204, 404):
                if answer.content and (action := answer.json().get("action")):
                    self._finish(action)
                return
            if time.monotonic() > end:
                raise OperatorError(f"{kind} {row['name']} can't be deleted: {answer.text[:200]}")
            time.sleep(0.3)  # in use by what is just going

    def _finish(self, action: dict[str, Any]) -> None:
        end = time.monotonic() + DELETED_WITHIN
        while action["status"] == "running" and time.monotonic() < end:
            time.sleep(0.05)
            action = self.api.get(f"/actions/{action['id']}").json()["action"]
        if action["status"] != "success":
            raise OperatorError(f"{action['command']} did not succeed: {action.get('error')}")
