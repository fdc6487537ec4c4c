"""What a machine on AWS does itself: keys from the metadata service, secrets from the Parameter Store, both signed."""

from __future__ import annotations

import json
import runpy
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from infra.bootstrap import STAGE0

ROLE = {"AccessKeyId": "ASIAKEY", "SecretAccessKey": "role-secret", "Token": "session-token"}


class Cloud:
    """Metadata service and Parameter Store, answering `fetch`; `asked` is what was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], bytes | None]] = []

    def fetch(self, url: str, headers: dict[str, str], method: str = "GET", body: bytes | None = None) -> bytes:
        self.asked.append((method, url, headers, body))
        if url.endswith("/api/token"):
            assert method == "PUT"  # version 2: nothing is answered without a token
            return b"imds-token"
        if "169.254.169.254" in url:
            assert headers["X-aws-ec2-metadata-token"] == "imds-token"
            answers = {"iam/security-credentials/": "role\n", "placement/region": "eu-west-1"}
            path = url.split("meta-data/")[1]
            return (answers.get(path) or json.dumps(ROLE)).encode()
        return json.dumps({"Parameter": {"Value": "5" * 64}}).encode()


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], Cloud, Any]:
    cloud = Cloud()
    plug = runpy.run_path(str(STAGE0 / "aws.py"))
    monkeypatch.setitem(plug["metadata"].__globals__, "fetch", cloud.fetch)
    monkeypatch.syspath_prepend(str(STAGE0))
    from sekha_stage0.bucket import sign

    return plug, cloud, sign


def test_the_parameter_is_asked_for_with_the_roles_signature(plugged: tuple[dict[str, Any], Cloud, Any]) -> None:
    plug, cloud, sign = plugged
    given = plug["secrets"]({"parameters": "/sekha/test/sekha-test-1/"}, sign)
    assert given == {"access_key": "ASIAKEY", "secret_key": "role-secret", "stack_key": "5" * 64}
    method, url, headers, body = cloud.asked[-1]
    assert (method, url) == ("POST", "https://ssm.eu-west-1.amazonaws.com/")
    assert json.loads(body or b"") == {"Name": "/sekha/test/sekha-test-1/stack-key", "WithDecryption": True}
    assert headers["Authorization"].endswith(f"Signature={botocores(headers, body or b'')}")


def botocores(headers: dict[str, str], body: bytes) -> str:
    """The signature that botocore makes for the same request at the same time."""
    names = ("host", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token", "x-amz-target")
    request = AWSRequest("POST", f"https://{headers['host']}/", headers=dict(headers), data=body)
    request.context["timestamp"] = headers["x-amz-date"]
    signer: Any = SigV4Auth(Credentials("ASIAKEY", "role-secret", "session-token"), "ssm", "eu-west-1")
    lines = "".join(f"{name}:{headers[name]}\n" for name in names)
    canonical = f"POST\n/\n\n{lines}\n{';'.join(names)}\n{headers['x-amz-content-sha256']}"
    text: str = signer.signature(signer.string_to_sign(request, canonical), request)
    return text


def test_keys_are_asked_for_once_in_five_minutes(
    plugged: tuple[dict[str, Any], Cloud, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    plug, cloud, _ = plugged
    first = plug["keys"]()
    asked = len(cloud.asked)
    assert plug["keys"]() == first == ("ASIAKEY", "role-secret", {"x-amz-security-token": "session-token"})
    assert len(cloud.asked) == asked
    monkeypatch.setitem(plug["held"], "until", 0.0)
    plug["keys"]()
    assert len(cloud.asked) > asked


def test_the_session_agent_comes_from_the_region_and_is_tried_again(
    plugged: tuple[dict[str, Any], Cloud, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    plug, cloud, _ = plugged
    scope, calls = plug["install_sessions"].__globals__, []

    def run(command: list[str], check: bool) -> None:
        calls.append(command[:2])
        if len(calls) == 1:
            raise OSError("dpkg is locked")

    monkeypatch.setattr(scope["subprocess"], "run", run)
    monkeypatch.setattr(scope["time"], "sleep", lambda _: None)
    plug["install_sessions"]()
    assert calls == [["dpkg", "-i"], ["dpkg", "-i"]]
    packages = [url for _, url, _, _ in cloud.asked if url.endswith(".deb")]
    assert packages[0] == (
        "https://s3.eu-west-1.amazonaws.com/amazon-ssm-eu-west-1/latest/debian_amd64/amazon-ssm-agent.deb"
    )
