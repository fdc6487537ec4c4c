"""`make proof-machine`: what a booted machine of the local stack holds, hears and hides.

User-data within every cloud's size limit and without a secret but the two it needs; no secret in plain state; the
metadata address closed to all but root; nothing public but 22, 80 and 443.
"""

from __future__ import annotations

import gzip
import json
import shlex
import socket
import subprocess
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ops.engine import LOCAL, Engine, OperatorError
from ops.local import engine_of
from ops.show import json_line, table
from ops.up import ssh_command

USER_DATA_LIMITS = {"hetzner": 32768, "digitalocean": 65536, "aws (gzip)": 16384}
"""Bytes of user-data each cloud accepts (their documentation; AWS counts raw bytes and takes gzip)."""

PUBLIC_PORTS = {22, 80, 443}
METADATA = "http://169.254.169.254/hetzner/v1/metadata/instance-id"
IN_USER_DATA = {"sekha:nodeAccessKey", "sekha:nodeSecretKey", "sekha:stackKey"}
"""The node's bucket key and the stack key: the only secrets that may be in user-data."""


def server_inputs(engine: Engine) -> Mapping[str, Any]:
    """The server's inputs from the decrypted state."""
    state = json.loads(engine.capture("stack", "export", "--show-secrets"))
    servers = [r for r in state["deployment"]["resources"] if r["type"] == "hcloud:index/server:Server"]
    inputs: Mapping[str, Any] = servers[0]["inputs"]
    return inputs


def plaintext(value: Any) -> str:
    """A state value in clear, whether or not the engine marks it as a secret."""
    return str(json.loads(value["plaintext"])) if isinstance(value, dict) else str(value)


def remote(ssh: str, command: str) -> str:
    """Standard output of `command` run by root on the machine. Raises OperatorError when SSH itself fails (its 255)."""
    # Addresses are used again by other machines, so no host key is remembered from one run to the next.
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    first, *rest = shlex.split(ssh)
    arguments = [first, *options, "-o", "BatchMode=yes", *rest, command]
    done = subprocess.run(arguments, text=True, capture_output=True, check=False, timeout=60)
    if done.returncode == 255:
        raise OperatorError(f"`{ssh}` failed: {done.stderr.strip()}")
    return done.stdout


def listening(ssh: str) -> set[int]:
    """Ports that something listens on at an address which is not loopback."""
    ports = set()
    for line in remote(ssh, "ss -Hltn").splitlines():
        address, _, port = line.split()[3].rpartition(":")
        if not address.strip("[]").startswith(("127.", "::1")):
            ports.add(int(port))
    return ports


def reachable(address: str, ports: list[int]) -> set[int]:
    """Those of `ports` that accept a connection from this host."""
    open_ports = set()
    for port in ports:
        with socket.socket() as connection:
            connection.settimeout(1.0)
            if connection.connect_ex((address, port)) == 0:
                open_ports.add(port)
    return open_ports


def main() -> int:
    """Check the running local stack; 1 when a promise is broken."""
    engine = engine_of(LOCAL)
    outputs = engine.outputs()
    user_data = plaintext(server_inputs(engine)["userData"]).encode()
    secrets = {
        name: value.strip()
        for name, value in engine.secrets().items()
        if "Key" in name and name != "sekha:sshPublicKeys" and value.strip()  # one that isn't set is no secret
    }
    state = engine.capture("stack", "export")
    ssh = ssh_command(LOCAL, outputs)
    host = str(urlsplit(outputs["url"]).hostname)
    metadata = f"curl -s -o /dev/null -m 3 -w '%{{http_code}}' {METADATA}"
    rows: list[tuple[str, str, bool]] = []
    for cloud, limit in USER_DATA_LIMITS.items():
        size = len(gzip.compress(user_data, mtime=0)) if "gzip" in cloud else len(user_data)
        rows.append((f"user-data, {cloud}", f"{size} of {limit} bytes", size <= limit))
    found = {name for name, value in secrets.items() if value.encode() in user_data}
    rows.append(("secrets in user-data", ", ".join(sorted(found)), found <= IN_USER_DATA))
    in_state = {
        name for name, value in secrets.items() if json.dumps(value)[1:-1] in state and name.endswith("SecretKey")
    }
    rows.append(("secrets in plain state", ", ".join(sorted(in_state)) or "none", not in_state))
    as_root, as_nobody = remote(ssh, metadata), remote(ssh, f"runuser -u nobody -- {metadata}")
    rows.append(("metadata address as root", as_root, as_root == "200"))
    rows.append(("metadata address as nobody", as_nobody or "no answer", as_nobody in ("", "000")))
    ports = listening(ssh)
    rows.append(
        ("listening beyond loopback", ", ".join(map(str, sorted(ports))), ports <= PUBLIC_PORTS and bool(ports))
    )
    open_ports = reachable(host, [22, 25, 53, 80, 443, 2019, 5432, 8000, 8080, 9000])
    rows.append(("reachable from this host", ", ".join(map(str, sorted(open_ports))), open_ports <= PUBLIC_PORTS))
    print(table(["promise", "found", "kept"], [(name, value, "yes" if kept else "NO") for name, value, kept in rows]))
    json_line(
        {"found": {name: value for name, value, _ in rows}, "broken": [name for name, _, kept in rows if not kept]}
    )
    return 0 if all(kept for _, _, kept in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
