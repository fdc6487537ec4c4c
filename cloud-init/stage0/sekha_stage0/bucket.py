"""The machine's side of the stack's bucket: S3 with AWS Signature Version 4, by the standard library alone."""

import datetime
import hashlib
import hmac
import http.client
import json
import runpy
import shutil
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sekha_stage0.common import ETC, ROOT, MissingError, StepError, retry, sha256

Keys = tuple[str, str, dict[str, str]]
PLUG = ROOT / "usr/local/lib/sekha-deploy/stage0/plug.py"  # where the cloud keeps the secrets
ATTEMPTS = 8  # for a file; with the pauses between them about half a minute


def sign(keys: Keys, scope: str, method: str, host: str, path: str, body: bytes) -> dict[str, str]:
    """Headers of an AWS Signature Version 4. `keys`: access, secret, further headers; `scope`: region/service."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    digest, scope = hashlib.sha256(body).hexdigest(), f"{now[:8]}/{scope}/aws4_request"
    headers = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": now, **keys[2]}
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"{method}\n{path}\n\n{lines}\n{names}\n{digest}"
    mac = b"AWS4" + keys[1].encode()
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    for part in (*scope.split("/"), text):
        mac = hmac.digest(mac, part.encode(), "sha256")
    credential = f"Credential={keys[0]}/{scope}, SignedHeaders={names}, Signature={mac.hex()}"
    return headers | {"Authorization": f"AWS4-HMAC-SHA256 {credential}"}


class Bucket:
    """The stack's S3 bucket; requests are signed with AWS Signature Version 4."""

    def __init__(self, config: dict[str, Any]) -> None:
        bucket = config["bucket"]
        url = urllib.parse.urlsplit(bucket["endpoint"])
        virtual = bucket["addressing"] == "virtual"
        self.scheme, self.host = url.scheme, f"{bucket['name']}.{url.netloc}" if virtual else url.netloc
        self.prefix, self.region = "" if virtual else "/" + bucket["name"], bucket["region"]
        self.keys: Callable[[], Keys] = lambda: (config["access_key"], config["secret_key"], {})
        self.tls = ssl.create_default_context(cafile=bucket["ca_file"])  # with a CA of its own, only that is trusted

    def open(self, method: str, key: str, body: bytes = b"", span: str = "") -> http.client.HTTPResponse:
        """One request; the caller closes the answer. Raises MissingError on 404, OSError on any other failure."""
        path = urllib.parse.quote(f"{self.prefix}/{key}", safe="/-_.~")
        headers = sign(self.keys(), f"{self.region}/s3", method, self.host, path, body)
        headers |= {"Range": span} if span else {}
        url = f"{self.scheme}://{self.host}{path}"
        request = urllib.request.Request(url, body or None, headers, method=method)  # noqa: S310
        try:
            answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=20, context=self.tls)  # noqa: S310
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 404:
                raise MissingError(f"the bucket has no {key}") from None
            why = " (it ends before what is here already: other content)" if error.code == 416 else ""
            raise OSError(f"bucket: {method} {key}: HTTP {error.code}{why}") from None
        except http.client.HTTPException as error:
            raise OSError(f"bucket: {method} {key}: {error!r}") from None
        return answer

    def get(self, key: str) -> bytes:
        with self.open("GET", key) as answer:
            return answer.read()

    def download(self, digest: str, target: Path, size: int) -> None:
        """releases/files/DIGEST to `target`, going on where a try stopped (size 0: unknown). Raises StepError."""
        part = target.with_name(target.name + ".part")
        target.parent.mkdir(parents=True, exist_ok=True)

        def attempt() -> None:
            have, rest = part.stat().st_size if part.exists() else 0, None
            if not size or have != size:
                span = f"bytes={have}-" if 0 < have < size else ""
                with (
                    self.open("GET", "releases/files/" + digest, span=span) as answer,
                    part.open("ab" if answer.status == 206 else "wb") as file,
                ):
                    shutil.copyfileobj(answer, file, 1 << 20)
                    rest = answer.length
            if sha256(part) != digest:
                if rest:  # of what was announced: the next try goes on here
                    raise OSError("cut short")
                part.unlink()
                raise OSError("arrived with other content")

        try:
            retry(attempt, ATTEMPTS)
        except (OSError, MissingError, http.client.HTTPException) as error:
            raise StepError(f"fetch of releases/files/{digest}: {error}") from None
        part.rename(target)


def connect() -> tuple[dict[str, Any], Bucket]:
    """agent.json, with the secrets that the cloud keeps for the machine, and the bucket. Raises OSError."""
    config: dict[str, Any] = json.loads((ETC / "agent.json").read_text())
    bucket = Bucket(config)
    if PLUG.exists():
        plugged = runpy.run_path(str(PLUG))
        bucket.keys = plugged["keys"]
        config |= plugged["secrets"](config, sign)
    return config, bucket
