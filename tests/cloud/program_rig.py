"""A stack without machines: real engine, provider, program, Hetzner API and object store; a thread plays the machine.

Runs in a network namespace of its own, so that the local cloud's addresses can be used whether or not one is running.
"""

from __future__ import annotations

import http.server
import os
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import boto3
import httpx
import uvicorn
import yaml

from infra import keys
from localcloud import certs, objects
from localcloud.api.app import create_app
from localcloud.fake_backend import FakeBackend
from localcloud.store import Store
from localcloud.worker import Cloud
from tests.cloud.fake_machine import FakeMachine, Health
from tests.support import TIED, wait_for

REPO = Path(__file__).resolve().parents[2]


class Rig:
    """API, object store and machines in one process; `pulumi` runs the real engine on the real program."""

    def __init__(self, folder: Path, stack: str = "local") -> None:
        self.folder, self.stack, self.bucket = folder, stack, f"sekha-{stack}"
        self.fail_at, self.refusals = "", list[str]()
        self.program = REPO  # the project folder that the engine runs
        self.backend = FakeBackend()
        self.cloud = Cloud(Store(folder / "state.db"), self.backend)
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        subprocess.run(["ip", "route", "add", "local", "198.51.100.0/24", "dev", "lo"], check=True)
        self.cloud.start()
        self.token = self.cloud.store.add_token(self.cloud.store.add_project("test"))
        server = uvicorn.Server(uvicorn.Config(create_app(self.cloud), port=8580, log_config=None))
        threading.Thread(target=server.run, daemon=True).start()
        self._object_store()
        self._health()
        threading.Thread(target=self._machines, daemon=True).start()
        wait_for(lambda: _open("127.0.0.1", 8580) and _open("198.51.100.2", 9000), 20, "API and object store")

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
            process.wait(10)
        self.cloud.stop(5)

    def _object_store(self) -> None:
        certs.ensure(self.folder)
        self.ca_pem = (self.folder / "ca.pem").read_text()
        for name in ("iam", "objects", "versions"):
            (self.folder / name).mkdir()
        (self.folder / "iam" / "users.json").write_text(objects.users_file("nodeaccess", "nodesecret"))
        command = [
            *TIED, "versitygw", "--port", "198.51.100.2:9000", "--region", "us-east-1",
            "--cert", str(self.folder / "objects.pem"), "--key", str(self.folder / "objects.key"),
            "--iam-dir", str(self.folder / "iam"), "--quiet",
            "posix", "--versioning-dir", str(self.folder / "versions"), str(self.folder / "objects"),
        ]  # fmt: skip
        env = {**os.environ, "ROOT_ACCESS_KEY": "operatoraccess", "ROOT_SECRET_KEY": "operatorsecret"}
        log = (self.folder / "objects.log").open("wb")
        self.processes.append(subprocess.Popen(command, env=env, stdout=log, stderr=log))

    def _health(self) -> None:
        """The public URL: whatever address a server gets, this answers there, with the machines' authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*_certificate(self.folder))
        server = http.server.ThreadingHTTPServer(("0.0.0.0", 443), Health)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def _machines(self) -> None:
        seen: set[int] = set()
        while True:
            running = set(self.backend.running)
            started, seen = running - seen, running
            for number in started:
                FakeMachine(self, self.backend.servers[number]).start()
            time.sleep(0.2)

    def s3(self, access: str, secret: str) -> Any:
        return boto3.client(
            "s3", endpoint_url="https://198.51.100.2:9000", region_name="us-east-1", aws_access_key_id=access,
            aws_secret_access_key=secret, verify=str(self.folder / "ca.pem"),
        )  # fmt: skip

    def configure(self, source: str, **changes: object) -> None:
        """The stack's config: the tracked file, completed as `make up` and `make init` do."""
        env = {
            "PULUMI_BACKEND_URL": f"file://{self.folder}/pulumi", "PULUMI_CONFIG_PASSPHRASE": "test",
            "SEKHA_WHEELHOUSE": str(self.folder / "wheelhouse"), "SEKHA_CACHE": str(self.folder / "cache"),
            "PULUMI_SKIP_UPDATE_CHECK": "true", "PULUMI_HOME": str(self.folder / "home"),
        }  # fmt: skip
        self.env = {**os.environ, **env}
        (self.folder / "pulumi").mkdir(exist_ok=True)
        plugins = REPO_TOOLCHAIN.parent / "plugins"
        (self.folder / "home").mkdir(exist_ok=True)
        if plugins.exists() and not (self.folder / "home" / "plugins").exists():
            (self.folder / "home" / "plugins").symlink_to(plugins)
        wheels = self.folder / "wheelhouse" / "wheels"
        wheels.mkdir(parents=True, exist_ok=True)
        (wheels / "sekha_service-0.1.0-py3-none-any.whl").write_bytes(b"a wheel")
        for name in ("service.txt", "chroma.txt"):
            (wheels.parent / name).write_text("")
        tracked = yaml.safe_load((REPO / source).read_text())["config"]
        bucket = {
            "endpoint": "https://198.51.100.2:9000", "region": "us-east-1", "name": self.bucket, "addressing": "path",
            "caFile": str(self.folder / "ca.pem"),
        }  # fmt: skip
        plain = {"hcloud:endpoint": "http://127.0.0.1:8580/v1", "sekha:bucket": bucket}
        self.config_file = self.folder / f"Pulumi.{self.stack}.yaml"
        self.config_file.write_text(yaml.safe_dump({"config": {**tracked, **plain, **changes}}))
        # `stack init` writes a salt beside Pulumi.yaml: not into the repository's tracked files.
        (self.folder / "Pulumi.yaml").write_text("name: sekha\nruntime: python\n")
        init = ["pulumi", "--non-interactive", "--cwd", str(self.folder), "stack", "init", self.stack]
        subprocess.run(init, env=self.env, check=True, capture_output=True)
        for key, value in {
            "hcloud:token": self.token, "apiKey": keys.generate_api_key(), "stackKey": keys.generate_stack_key(),
            "signingKey": keys.generate_signing_key(), "bucketAccessKey": "operatoraccess",
            "bucketSecretKey": "operatorsecret", "nodeAccessKey": "nodeaccess", "nodeSecretKey": "nodesecret",
        }.items():  # fmt: skip
            self.pulumi("config", "set", "--secret", key, stdin=value)

    def use(self, stack: str, source: str) -> None:
        """Go on with another stack."""
        self.stack, self.bucket = stack, f"sekha-{stack}"
        self.configure(source)

    def objects(self) -> int:
        """How many objects the project holds in the cloud."""
        kinds = ("servers", "volumes", "networks", "firewalls", "primary_ips", "placement_groups", "ssh_keys")
        return sum(len(self._rows(kind)) for kind in kinds)

    def kept(self) -> dict[str, Any]:
        """What a replacement of the machine must keep, and the machine."""
        (server,), (volume,), (address,) = (self._rows(kind) for kind in ("servers", "volumes", "primary_ips"))
        return {"server": server["id"], "volume": volume["id"], "address": address["ip"], "attached": volume["format"]}

    def _rows(self, kind: str) -> list[dict[str, Any]]:
        headers = {"Authorization": f"Bearer {self.token}"}
        rows: list[dict[str, Any]] = httpx.get(f"http://127.0.0.1:8580/v1/{kind}", headers=headers).json()[kind]
        return rows

    def change(self, **changes: object) -> None:
        """Change plain values of the stack's config."""
        content = yaml.safe_load(self.config_file.read_text())
        content["config"].update({f"sekha:{key}": value for key, value in changes.items()})
        self.config_file.write_text(yaml.safe_dump(content))

    def pulumi(self, *arguments: str, stdin: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = ["pulumi", "--non-interactive", "--cwd", str(self.program), *arguments, "--stack", self.stack]
        if arguments[0] != "stack":
            command += ["--config-file", str(self.config_file)]
        result = subprocess.run(
            command, env=self.env, input=stdin, text=True, capture_output=True, check=False, timeout=120
        )
        if check and result.returncode:
            raise AssertionError(f"pulumi {' '.join(arguments)}: {result.stdout}{result.stderr}")
        return result


REPO_TOOLCHAIN = Path(os.environ.get("PATH", "").split(":")[0])


def _open(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for the first server's address, by the local cloud's authority: (chain, key)."""
    key, request, chain, names = (folder / name for name in ("web.key", "web.csr", "web.pem", "web.ext"))
    names.write_text("subjectAltName=" + ",".join(f"IP:198.51.100.{n}" for n in range(10, 31)))
    run = [
        "openssl",
        "req",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=web",
        "-keyout",
        str(key),
        "-out",
        str(request),
    ]
    subprocess.run(run, check=True, capture_output=True)
    sign = [
        "openssl", "x509", "-req", "-in", str(request), "-CA", str(folder / "ca.pem"), "-CAkey", str(folder / "ca.key"),
        "-CAcreateserial", "-days", "2", "-extfile", str(names), "-out", str(chain),
    ]  # fmt: skip
    subprocess.run(sign, check=True, capture_output=True)
    return chain, key
