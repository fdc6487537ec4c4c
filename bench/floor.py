"""`make floor`: what of `make up` is unavoidable on this machine.

Boots one bare server on the running local cloud with nothing but the packages that a release installs, from the same
package cache, and measures from the API call to the moment cloud-init has installed them. Prints it next to the last
`make up` (its `pulumi up` and the stages boot + packages) and the ratio.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

import httpx
import yaml

from infra.roles import CLOUD_INIT, ORDER
from ops.engine import LOCAL
from ops.paths import REPO, stack_dir
from ops.show import json_line, say, table

TIMEOUT = 300.0
"""Seconds after which the measurement is given up."""


def packages() -> list[str]:
    """Names of all Debian packages that the roles install."""
    meta = [yaml.safe_load((CLOUD_INIT / role / "meta.yaml").read_text()) for role in ORDER]
    return sorted({package for role in meta for package in role.get("packages") or []})


def user_data() -> str:
    """A cloud-config that installs the packages and then answers HTTP on port 80."""
    serve = "nohup python3 -m http.server 80 >/dev/null 2>&1 &"
    done = f"mkdir -p /run/done && echo ok > /run/done/index.html && cd /run/done && {serve}"
    # The same preparation as a release's: no PostgreSQL cluster is made by the package.
    files = [{"path": "/etc/postgresql-common/createcluster.conf", "content": "create_main_cluster = false\n"}]
    return "#cloud-config\n" + yaml.safe_dump(
        {"package_update": True, "packages": packages(), "write_files": files, "runcmd": [done]}
    )


def boot_and_install() -> float:
    """Seconds from POST /servers to all packages installed, on a server of its own in a project of its own."""
    env = json.loads(
        subprocess.run(
            [sys.executable, "-m", "localcloud", "env", "--new-project", "--json"],
            cwd=REPO,
            check=True,
            text=True,
            stdout=subprocess.PIPE,
        ).stdout
    )
    api = httpx.Client(
        base_url=env["HCLOUD_ENDPOINT"], headers={"Authorization": f"Bearer {env['HCLOUD_TOKEN']}"}, timeout=30
    )
    started = time.monotonic()
    body = {"name": "floor", "server_type": "cx33", "image": "debian-13", "location": "fsn1", "user_data": user_data()}
    server = api.post("/servers", json=body).raise_for_status().json()["server"]
    try:
        url = f"http://{server['public_net']['ipv4']['ip']}/"
        while time.monotonic() - started < TIMEOUT:
            try:
                if httpx.get(url, timeout=2).status_code == 200:
                    return time.monotonic() - started
            except httpx.HTTPError:
                pass
            time.sleep(0.2)
        raise SystemExit(f"floor: packages not installed within {TIMEOUT:g} s; see `bin/localcloud logs floor`")
    finally:
        api.delete(f"/servers/{server['id']}")


def main() -> None:
    """Measure, compare with the last `make up`, print."""
    last = stack_dir(LOCAL) / "last-up.json"
    if not last.exists():
        raise SystemExit("floor: run `make up` first; its figures are what the floor is compared with")
    up = json.loads(last.read_text())
    say(f"booting a bare server with {len(packages())} packages")
    floor = round(boot_and_install(), 1)
    whole = float(up["pulumi_up_seconds"])
    print(
        table(
            ["what", "seconds", "of the floor"],
            [
                ("floor: boot + packages alone", floor, 1.0),
                ("`pulumi up` to a healthy /health over TLS", whole, whole / floor),
            ],
        )
    )
    json_line({"floor_seconds": floor, "pulumi_up_seconds": whole, "ratio": round(whole / floor, 2)})


if __name__ == "__main__":
    main()
