"""On AWS: the machine's role gives its keys (metadata service, version 2), the Parameter Store its secrets. Run as a
program it installs the agent of Session Manager, by which administrators come in: Debian's image has none."""

import json
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

METADATA = "http://169.254.169.254/latest/"
# The region's own copy (Systems Manager user guide, "manually installing"); reached by the S3 gateway endpoint.
SESSIONS = "https://s3.{0}.amazonaws.com/amazon-ssm-{0}/latest/debian_amd64/amazon-ssm-agent.deb"
TRIES = 30  # at the package, 10 s apart: the address comes after the boot, and another may hold dpkg's lock
held: dict[str, Any] = {"until": 0.0}


def fetch(url: str, headers: dict[str, str], method: str = "GET", body: bytes | None = None) -> bytes:
    request = urllib.request.Request(url, body, headers, method=method)  # noqa: S310
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
        content: bytes = answer.read()
        return content


def metadata(path: str) -> str:
    token = fetch(METADATA + "api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"}, "PUT").decode()
    return fetch(f"{METADATA}meta-data/{path}", {"X-aws-ec2-metadata-token": token}).decode().strip()


def keys() -> tuple[str, str, dict[str, str]]:
    """Access key, secret key and session of the role; asked for again every 5 minutes, they last for hours."""
    if held["until"] < time.monotonic():
        path = "iam/security-credentials/"
        held.update(json.loads(metadata(path + metadata(path))), until=time.monotonic() + 300)
    return held["AccessKeyId"], held["SecretAccessKey"], {"x-amz-security-token": held["Token"]}


def secrets(config: dict[str, Any], sign: Callable[..., dict[str, str]]) -> dict[str, str]:
    """What else agent.json would hold. Raises OSError: the agent then fails and is started again by systemd."""
    region = metadata("placement/region")
    host = f"ssm.{region}.amazonaws.com"
    body = json.dumps({"Name": config["parameters"] + "stack-key", "WithDecryption": True}).encode()
    access, secret, session = keys()
    target = {**session, "x-amz-target": "AmazonSSM.GetParameter"}
    headers = sign((access, secret, target), f"{region}/ssm", "POST", host, "/", body)
    headers["Content-Type"] = "application/x-amz-json-1.1"
    value = json.loads(fetch(f"https://{host}/", headers, "POST", body))["Parameter"]["Value"]
    return {"access_key": access, "secret_key": secret, "stack_key": value}


def install_sessions() -> None:
    """Raises OSError or subprocess.CalledProcessError after the last try; cloud-init's log then says so."""
    for left in reversed(range(TRIES)):
        try:
            with tempfile.TemporaryDirectory() as folder:
                package = Path(folder) / "amazon-ssm-agent.deb"
                package.write_bytes(fetch(SESSIONS.format(metadata("placement/region")), {}))
                subprocess.run(["dpkg", "-i", str(package)], check=True)
            return
        except (OSError, subprocess.CalledProcessError):
            if not left:
                raise
            time.sleep(10)


if __name__ == "__main__":
    install_sessions()
