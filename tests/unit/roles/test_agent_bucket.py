"""The agent's S3 client: signatures, retries, downloads that go on where they stopped."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.unit.roles.conftest import FakeBucket, Machine

BODY = b"0123456789" * 5000
DIGEST = hashlib.sha256(BODY).hexdigest()


@pytest.mark.parametrize(("method", "key", "body"), [("GET", "desired/n1", b""), ("PUT", "status/a b+c~1", b"{}")])
def test_signature_is_what_botocore_makes(
    machine: Machine, bucket: FakeBucket, method: str, key: str, body: bytes
) -> None:
    bucket.objects[key] = b"x"
    try:
        machine.agent().bucket.open(method, key, body).close()
    except machine.module.MissingError:
        assert method == "GET"
    got = {name.lower(): value for name, value in bucket.requests[-1][2].items()}
    digest = hashlib.sha256(body).hexdigest()
    headers = {"Host": got["host"], "X-Amz-Date": got["x-amz-date"], "x-amz-content-sha256": digest}
    path = "/bucket/" + key.replace(" ", "%20").replace("+", "%2B")
    request = AWSRequest(method, f"http://{got['host']}{path}", headers=headers, data=body)
    request.context["timestamp"] = got["x-amz-date"]
    signer: Any = SigV4Auth(Credentials("NODEACCESSKEY", "NODESECRETKEY"), "s3", "r1")
    signer._should_sha256_sign_payload = lambda _: True
    canonical = f"{method}\n{path}\n\n" + "".join(
        f"{name}:{value}\n"
        for name, value in (("host", got["host"]), ("x-amz-content-sha256", digest), ("x-amz-date", got["x-amz-date"]))
    )
    canonical += f"\nhost;x-amz-content-sha256;x-amz-date\n{digest}"
    expected = signer.signature(signer.string_to_sign(request, canonical), request)
    assert got["authorization"].endswith(f"Signature={expected}")


def test_virtual_addressing_puts_the_bucket_into_the_host(machine: Machine) -> None:
    config = machine.config()
    config["bucket"] |= {"addressing": "virtual", "endpoint": "https://s3.example"}
    client = machine.module.Bucket(config)
    assert (client.host, client.prefix) == ("bucket.s3.example", "")


@pytest.mark.parametrize("fault", [500, 503, "cut"])
def test_download_survives_a_fault(machine: Machine, bucket: FakeBucket, fault: int | str) -> None:
    bucket.store(BODY)
    bucket.faults[f"releases/files/{DIGEST}"] = [fault]
    assert machine.part().files.store(DIGEST, len(BODY)).read_bytes() == BODY


def test_download_goes_on_where_it_stopped(machine: Machine, bucket: FakeBucket) -> None:
    bucket.store(BODY)
    bucket.faults[f"releases/files/{DIGEST}"] = ["cut"]
    machine.part().files.store(DIGEST, len(BODY))
    assert bucket.requests[-1][2]["Range"] == f"bytes={len(BODY) // 2}-"


@pytest.mark.parametrize("content", [BODY[::-1], BODY[:-1], BODY[:10], b"", BODY + b"x"])
def test_other_content_is_not_taken(machine: Machine, bucket: FakeBucket, content: bytes) -> None:
    bucket.objects[f"releases/files/{DIGEST}"] = content
    with pytest.raises(machine.module.StepError, match="other content"):
        machine.part().files.store(DIGEST, len(BODY))
    assert not list((machine.root / "var/lib/sekha-deploy/files").iterdir())


def test_a_file_that_ends_before_what_is_here_is_other_content(machine: Machine, bucket: FakeBucket) -> None:
    bucket.objects[f"releases/files/{DIGEST}"] = BODY[:10]
    part = machine.root / f"var/lib/sekha-deploy/files/{DIGEST}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(BODY[:20])
    with pytest.raises(machine.module.StepError, match=r"HTTP 416 .*other content"):
        machine.part().files.store(DIGEST, len(BODY))
    bucket.store(BODY)
    assert machine.part().files.store(DIGEST, len(BODY)).read_bytes() == BODY


def test_missing_file_is_an_error_at_once(machine: Machine, bucket: FakeBucket) -> None:
    with pytest.raises(machine.module.StepError, match=f"fetch of releases/files/{DIGEST}: the bucket has no"):
        machine.part().files.store(DIGEST, len(BODY))
    assert len(bucket.requests) == 1


def test_beacon_that_does_not_arrive_is_no_error(machine: Machine, bucket: FakeBucket) -> None:
    bucket.faults["status/n1"] = [500] * 4
    machine.agent().report.beacon("boot", "running")
    assert bucket.beacons == []
