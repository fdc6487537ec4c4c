"""On AWS: the machine's role gives its keys (metadata service, version 2), the Parameter Store its secrets."""

import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any

METADATA = "http://169.254.169.254/latest/"
held: dict[str, Any] = {"until": 0.0}


def fetch(url: str, headers: dict[str, str], method: str = "GET", body: bytes | None = None) -> str:
    request = urllib.request.Request(url, body, headers, method=method)  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        text: str = answer.read().decode()
        return text


def keys() -> tuple[str, str, dict[str, str]]:
    """Access key, secret key and session of the role; asked for again every 5 minutes, they last for hours."""
    if held["until"] < time.monotonic():
        token = fetch(METADATA + "api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"}, "PUT")
        path, header = METADATA + "meta-data/iam/security-credentials/", {"X-aws-ec2-metadata-token": token}
        held.update(json.loads(fetch(path + fetch(path, header).strip(), header)), until=time.monotonic() + 300)
    return held["AccessKeyId"], held["SecretAccessKey"], {"x-amz-security-token": held["Token"]}


def secrets(config: dict[str, Any], sign: Callable[..., dict[str, str]]) -> dict[str, str]:
    """What else agent.json would hold. Raises OSError: the agent then fails and is started again by systemd."""
    region = config["bucket"]["region"]
    host = f"ssm.{region}.amazonaws.com"
    body = json.dumps({"Name": config["parameters"] + "stack-key", "WithDecryption": True}).encode()
    access, secret, session = keys()
    target = {**session, "x-amz-target": "AmazonSSM.GetParameter"}
    headers = sign((access, secret, target), f"{region}/ssm", "POST", host, "/", body)
    headers["Content-Type"] = "application/x-amz-json-1.1"
    value = json.loads(fetch(f"https://{host}/", headers, "POST", body))["Parameter"]["Value"]
    return {"access_key": access, "secret_key": secret, "stack_key": value}
