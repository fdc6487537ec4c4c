"""Managed certificates as Hetzner gets them from Let's Encrypt: by ACME with a DNS challenge, here from pebble.

Pebble (Let's Encrypt's own test server) is started for each certificate, on free loopback ports, with a root that is
made anew; so its root is certified by the local cloud's CA, and whoever trusts that one trusts the certificate.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import requests
from acme import challenges, client, crypto_util, messages
from acme import errors as acme_errors
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from josepy.jwk import JWKRSA

from localcloud import acme_dns, certs
from localcloud.backend import BackendError
from localcloud.certs import MANAGED_LIFE

TOOLCHAIN = Path(__file__).parent.parent / "tools" / "toolchain"
SEARCH = "LOCALCLOUD_PATH"  # the operator's PATH: the daemon's own has the system's programs alone
BUILD_LIMIT, START_LIMIT = 900, 15.0  # s
WITH_US = ("setpriv", "--pdeathsig", "KILL")  # a daemon that is killed takes its child with it
HOST = "localhost"  # pebble's own certificate is for this name


def program() -> Path:
    """Pebble, built first if that was never done (a minute or two). Raises BackendError."""
    search = os.environ.get(SEARCH) or os.environ.get("PATH", "")
    if found := shutil.which("pebble", path=search):
        return Path(found)
    env = {**os.environ, "PATH": search}
    command = [str(TOOLCHAIN), "pebble"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, timeout=BUILD_LIMIT, env=env)
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        raise BackendError("pebble, which issues managed certificates, could not be built: see the daemon's log")
    return Path(lines[-1]) / "pebble"


def issue(pebble: Path, ca: Path, names: list[str], find: acme_dns.Find) -> tuple[str, str]:
    """A chain down to the CA in the folder `ca`, and its key, PEM. `find` answers for the DNS zones there are.

    Raises BackendError with what pebble said.
    """
    waiting: dict[str, list[str]] = {}  # name -> challenges to be found there

    def found(name: str, kind: str) -> list[str]:
        return (waiting.get(name, []) if kind == "TXT" else []) + find(name, kind)

    with acme_dns.serving(found) as port, _running(pebble, ca, port) as (directory, manage):
        try:
            chain, key = _order(directory, ca / "ca.pem", names, waiting)
            root = requests.get(f"{manage}/roots/0", verify=str(ca / "ca.pem"), timeout=10).text
        except (acme_errors.Error, messages.Error, requests.RequestException) as error:
            raise BackendError(f"pebble did not issue the certificate: {error}") from None
    return chain + certs.cross_sign(ca, root), key


def _order(directory: str, ca: Path, names: list[str], waiting: dict[str, list[str]]) -> tuple[str, str]:
    account = JWKRSA(key=rsa.generate_private_key(public_exponent=65537, key_size=2048))
    net = client.ClientNetwork(account, user_agent="localcloud", verify_ssl=str(ca))  # type: ignore[arg-type]
    acme = client.ClientV2(client.ClientV2.get_directory(directory, net), net)
    acme.new_account(messages.NewRegistration.from_data(terms_of_service_agreed=True))
    key = certs.pem_of(ec.generate_private_key(ec.SECP256R1()))
    order = acme.new_order(crypto_util.make_csr(key.encode(), names))
    for authorization in order.authorizations:
        for body in authorization.body.challenges:
            if isinstance(body.chall, challenges.DNS01):
                response, text = body.response_and_validation(account)
                name = body.chall.validation_domain_name(authorization.body.identifier.value)
                waiting.setdefault(name, []).append(f'"{text}"')
                acme.answer_challenge(body, response)
    return str(acme.poll_and_finalize(order).fullchain_pem), key


@contextmanager
def _running(pebble: Path, ca: Path, dns_port: int) -> Iterator[tuple[str, str]]:
    """A pebble that asks that nameserver; gives the addresses of its directory and of its management."""
    with tempfile.TemporaryDirectory(prefix="localcloud-pebble-") as name:
        folder = Path(name)
        chain, key = certs.issue(ca, [HOST])
        (folder / "tls.pem").write_text(chain)
        (folder / "tls.key").write_text(key)
        ports = _free_ports(2)
        life = {"description": "as Let's Encrypt", "validityPeriod": int(MANAGED_LIFE.total_seconds())}
        config = {
            "listenAddress": f"127.0.0.1:{ports[0]}", "managementListenAddress": f"127.0.0.1:{ports[1]}",
            "certificate": str(folder / "tls.pem"), "privateKey": str(folder / "tls.key"),
            "httpPort": 5002, "tlsPort": 5001, "profiles": {"default": life},
        }  # fmt: skip
        (folder / "config.json").write_text(json.dumps({"pebble": config}))
        options = ["-config", str(folder / "config.json"), "-dnsserver", f"127.0.0.1:{dns_port}"]
        command = [*WITH_US, str(pebble), *options]
        env = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
        log = (folder / "log").open("w")
        with log, subprocess.Popen(command, env=env, stdout=log, stderr=log, cwd=folder) as process:
            try:
                _wait(ports[1], process, folder / "log")
                yield f"https://{HOST}:{ports[0]}/dir", f"https://{HOST}:{ports[1]}"
            finally:
                with suppress(ProcessLookupError):
                    process.send_signal(signal.SIGKILL)


def _free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    for sock in sockets:
        sock.bind(("127.0.0.1", 0))
    ports = [int(sock.getsockname()[1]) for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_LIMIT
    while True:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        if process.poll() is not None or time.monotonic() > end:
            raise BackendError(f"pebble did not start: {log.read_text()[-500:]}")
        time.sleep(0.05)
