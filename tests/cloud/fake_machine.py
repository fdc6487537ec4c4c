"""What stands in for a machine where none is booted: its agent as the bucket sees it, and the public URL's answer."""

from __future__ import annotations

import http.server
import json
import threading
import time
from typing import TYPE_CHECKING, Any

import yaml

from infra import release_sign
from localcloud.backend import ServerSpec

if TYPE_CHECKING:
    from tests.cloud.program_rig import Rig

STAGES = ("packages", "database", "vectors", "service", "tls", "serving")


class FakeMachine(threading.Thread):
    """An agent as the bucket sees it: reads its desired state, checks the signature, reports stage by stage."""

    def __init__(self, rig: Rig, spec: ServerSpec) -> None:
        super().__init__(daemon=True)
        self.rig, self.spec, self.done = rig, spec, 0
        files = {row["path"]: row["content"] for row in yaml.safe_load(spec.user_data)["write_files"]}
        self.agent = json.loads(files["/etc/sekha-deploy/agent.json"])
        signers = files["/etc/sekha-deploy/allowed_signers"].splitlines()
        self.trusted = [line.split("sekha-release" + '" ')[1] for line in signers]
        self.s3 = rig.s3(self.agent["access_key"], self.agent["secret_key"])

    def run(self) -> None:
        while self.spec.id in self.rig.backend.running:
            time.sleep(0.2)
            try:
                self.look()
            except self.s3.exceptions.ClientError as error:
                self.rig.refusals.append(str(error))

    def look(self) -> None:
        body = self.s3.get_object(Bucket=self.rig.bucket, Key=f"desired/{self.spec.name}")["Body"].read()
        desired = json.loads(body)
        manifest = json.loads(desired["manifest"])
        if manifest["generation"] <= self.done:
            return None
        release_sign.verify(desired["manifest"], desired["signature"], self.trusted)
        self.done = manifest["generation"]
        seconds: dict[str, Any] = {}
        for stage in STAGES:
            seconds[stage] = {"state": "ok", "seconds": 0.1}
            if stage == self.rig.fail_at:
                return self.beacon(manifest, stage, "failed", seconds)
            self.beacon(manifest, stage, "ok" if stage == "serving" else "running", seconds)
        return None

    def beacon(self, manifest: dict[str, Any], stage: str, state: str, seconds: dict[str, Any]) -> None:
        body = {
            "format": 1, "node": self.spec.name, "instance_id": str(self.spec.id), "generation": manifest["generation"],
            "release": manifest["release"], "stage": stage, "state": state,
            "message": "as told to" * (state == "failed"),
            "log_tail": ["line one", "line two"], "stages": seconds, "ca_pem": self.rig.ca_pem, "version": "0.1.0",
            "updated_at": str(time.time()),
        }  # fmt: skip
        self.s3.put_object(Bucket=self.rig.bucket, Key=f"status/{self.spec.name}", Body=json.dumps(body).encode())


class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"status":"healthy"}')

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        pass
