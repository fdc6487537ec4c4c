"""`make up` to `make destroy` as the README has it: the real engine, provider and machine, from the outside.

One stack for the whole module; the tests run in order, each adds a step to its life.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from hcloud import Client

from tests.cloud.conftest import REPO, LocalCloud

OWN = ("cloud-test", "stacks", "state", "pulumi-home")
"""Folders of the cache that the test stack must have for itself; everything built is shared."""

CONVERSATION = {"label": "kept", "messages": [{"role": "user", "content": "the volume outlives the server"}]}

pytestmark = pytest.mark.timeout(420)


@dataclass
class Stack:
    """The test's local stack, driven by make."""

    env: dict[str, str]
    said: str = ""

    def make(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run `make ARGUMENTS`; fails with its whole output."""
        done = subprocess.run(
            ["make", "-s", "-C", str(REPO), *arguments],
            env=self.env | env, capture_output=True, text=True, check=False, timeout=400,
        )  # fmt: skip
        assert done.returncode == 0, f"make {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done

    def figures(self, *arguments: str, **env: str) -> dict[str, Any]:
        """The JSON object that a make target prints as its last line."""
        figures: dict[str, Any] = json.loads(self.make(*arguments, JSON="1", **env).stdout.splitlines()[-1])
        return figures

    def outputs(self) -> dict[str, Any]:
        outputs: dict[str, Any] = json.loads(self.make("outputs").stdout)
        return outputs

    def client(self) -> httpx.Client:
        """An HTTP client with the stack's URL, key and authority."""
        import ssl

        outputs = self.outputs()
        trust = ssl.create_default_context(cafile=outputs["caFile"])
        key = {"Authorization": f"Bearer {outputs['apiKey']}"}
        return httpx.Client(base_url=outputs["url"], verify=trust, headers=key, timeout=30)

    def provider(self) -> Client:
        """The cloud's API in the stack's project."""
        cloud = json.loads(
            subprocess.run(
                [REPO / "bin" / "localcloud", "env", "--json"], env=self.env, capture_output=True, text=True, check=True
            ).stdout
        )
        return Client(token=cloud["HCLOUD_TOKEN"], api_endpoint=cloud["HCLOUD_ENDPOINT"])


@pytest.fixture(scope="module")
def stack(local_cloud: LocalCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The local stack, not up yet, with state of its own; destroyed at the end whatever happened."""
    home = tmp_path_factory.mktemp("cache")
    for shared in local_cloud.paths.cache.iterdir():
        if not shared.name.startswith((*OWN, ".")):
            (home / shared.name).symlink_to(shared)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PULUMI_", "HCLOUD_"))}
    # make finds its own way to the engine, not the one that the tests run with
    env["PATH"] = os.pathsep.join(part for part in env["PATH"].split(os.pathsep) if "/toolchain/" not in part)
    made = Stack(env | {"SEKHA_CACHE": str(home), "SEKHA_CLOUD_DIR": str(local_cloud.paths.cloud)})
    yield made
    made.make("destroy")


def test_make_up_ends_with_a_healthy_sekha(stack: Stack) -> None:
    done = stack.make("up", JSON="1")
    stack.said = done.stdout + done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["ok"]
    wanted = {"boot", "packages", "database", "vectors", "service", "tls", "serving"}
    assert wanted <= set(figures["stages"])
    with stack.client() as sekha:
        health = sekha.get("/health").json()
    assert health["status"] == "healthy"
    assert {name: check["status"] for name, check in health["checks"].items()} == dict.fromkeys(
        ("database", "chroma", "llm_bridge"), "ok"
    )


def test_no_secret_is_printed_or_readable_by_others(stack: Stack) -> None:
    outputs = stack.outputs()
    assert outputs["apiKey"].startswith("sk-sekha-")
    assert outputs["apiKey"] not in stack.said
    folder = Path(stack.env["SEKHA_CACHE"]) / "stacks" / "local"
    assert folder.stat().st_mode & 0o077 == 0
    secret = [folder / name for name in ("Pulumi.local.yaml", "passphrase", "ssh_key")]
    assert {path.stat().st_mode & 0o777 for path in secret} == {0o600}
    assert outputs["apiKey"] not in (folder / "Pulumi.local.yaml").read_text()


def test_the_tracked_config_is_untouched(stack: Stack) -> None:
    changed = subprocess.run(
        ["git", "-C", str(REPO), "status", "--porcelain", "--", "Pulumi.yaml", "Pulumi.local.yaml"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert changed.stdout == ""


def test_curl_and_the_real_sdk_work(stack: Stack) -> None:
    figures = stack.figures("proof-clients")
    assert figures["failed"] == []
    assert "sdk query" in figures["calls"]


def test_the_machine_keeps_its_promises(stack: Stack) -> None:
    assert stack.figures("proof-machine")["broken"] == []


def test_a_verification_finds_a_corrupted_backup_and_then_that_all_is_well(stack: Stack) -> None:
    figures = stack.figures("proof-verification", SHORT="1")
    assert figures["broken"] == []
    assert figures["good"]["rows"]["messages"] > 0
    assert figures["good"]["query"]["word_hits"] > 0


def test_a_preview_right_after_is_clean(stack: Stack) -> None:
    stack.make("preview", EXPECT_NO_CHANGES="1")


def test_a_second_up_rolls_nothing_out(stack: Stack) -> None:
    before = stack.outputs()
    figures = stack.figures("up")
    assert "packages" not in figures["stages"]
    assert stack.outputs() == before


def test_the_machines_bucket_key_does_what_it_must_and_no_more(stack: Stack) -> None:
    assert stack.figures("proof-bucket-key")["broken"] == []


def test_a_bad_version_is_rolled_back_and_the_next_up_brings_the_new_one(stack: Stack) -> None:
    """The preview names the release alone, the server stays, no request fails, the service's own words are shown."""
    figures = stack.figures("proof-release", SHORT="1")
    assert figures["broken"] == []
    assert figures["clients"]["new version"]["requests"] > 20


def test_a_signed_but_malformed_release_is_refused_and_said(stack: Stack) -> None:
    figures = stack.figures("proof-signatures", ONLY="signed but malformed")
    assert figures["broken"] == []
    assert "malformed manifest: steps[0].units" in figures["said"]["signed but malformed"]


def test_a_rotated_api_key_is_the_only_one_that_opens(stack: Stack) -> None:
    figures = stack.figures("proof-rotation", ONLY="api")
    assert figures["broken"] == []
    assert figures["downtime"]["api"]["server"] == "the same"


def test_a_hole_in_the_archive_is_refused_and_nothing_is_served_until_it_is_mended(stack: Stack) -> None:
    assert stack.figures("proof-horrors", HORRORS="hole")["broken"] == []


def test_a_replaced_server_keeps_data_address_and_authority(stack: Stack) -> None:
    before = stack.outputs()
    with stack.client() as sekha:
        kept = sekha.post("/api/v1/conversations", json=CONVERSATION).raise_for_status().json()["id"]
    server = stack.provider().servers.get_by_name("sekha-local-1")
    assert server is not None
    stack.make("up", REPLACE="sekha-local-1")
    after = stack.outputs()
    successor = stack.provider().servers.get_by_name("sekha-local-1")
    assert successor is not None
    assert successor.id != server.id
    assert (after["url"], after["apiKey"]) == (before["url"], before["apiKey"])
    assert Path(after["caFile"]).read_text() == Path(before["caFile"]).read_text()
    with stack.client() as sekha:
        conversation = sekha.get(f"/api/v1/conversations/{kept}").raise_for_status().json()
    assert [message["content"] for message in conversation["messages"]] == ["the volume outlives the server"]


def test_destroy_leaves_nothing_in_the_project(stack: Stack) -> None:
    stack.make("destroy")
    api = stack.provider()
    kinds = (api.servers, api.volumes, api.networks, api.firewalls, api.primary_ips, api.placement_groups, api.ssh_keys)
    assert [thing for kind in kinds for thing in kind.get_all()] == []
