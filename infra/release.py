"""The Release: a dynamic resource that publishes a signed release for a machine and waits until it serves."""

from __future__ import annotations

import hashlib
import json
import os
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pulumi
from pulumi.dynamic import ConfigureRequest, CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

from infra import backups, data_record, object_store, release_facts, release_rollout, release_sign, restore_settings
from infra.object_store import DESIRED, GENERATIONS, STATUS, Store, StoreConfig
from infra.release_bundle import Bundle, hash_of_modules
from infra.release_rollout import ReleaseError, Wanted

# What makes a new release. Credentials are not among it: configure() brings them.
INPUTS = ("node", "instance_id", "address", "device", "domain", "release", "contents", "signer", "code")
CODE = (
    "backups.py",
    "restore_settings.py",
    "data_record.py",
    "release.py",
    "release_facts.py",
    "release_rollout.py",
    "release_sign.py",
    "release_bundle.py",
    "object_store.py",
)
UPLOADS = 8  # at a time


def say(text: str) -> None:
    """A line of progress; the engine shows a provider's standard output as it comes."""
    print(text, flush=True)


def blob_folder(stack: str) -> Path:
    """Where the program leaves a release's files for the provider, by SHA-256, in the stack's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("SEKHA_CACHE") or Path(base) / "sekha-deploy") / "stacks" / stack / "blobs"


def stage_blobs(bundle: Bundle, folder: Path) -> None:
    """Put the bundle's files into `folder`: links to the wheels, the rendered roles as private files."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for digest, source in bundle.blobs.items():
        target, fresh = folder / digest, folder / f".{digest}.{os.getpid()}"
        fresh.unlink(missing_ok=True)
        if isinstance(source, bytes):
            if target.exists() and target.read_bytes() == source:
                continue
            fresh.touch(mode=0o600)
            fresh.write_bytes(source)
        else:
            fresh.symlink_to(source.resolve())
        fresh.replace(target)


class ReleaseProvider(ResourceProvider):
    """Publishes and follows. Serialized without credentials or state of its own."""

    def configure(self, req: ConfigureRequest) -> None:
        get = req.config.get
        self.store = StoreConfig.from_config(get)
        self.signing_key: str = get("signingKey")
        self.node_secret: str = get("nodeSecretKey") or ""
        self.restore: str = get("restore") or "auto"
        self.database: str = get("database") or restore_settings.POSTGRES
        self.stack_key: str = get("stackKey")
        self.timeout = float(get("releaseTimeout") or 900)

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        return DiffResult(changes=any(olds.get(key) != news.get(key) for key in INPUTS))

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(f"release/{props['node']}", self.roll_out(props, {}))

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(self.roll_out(news, olds))

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Take the desired state away, so that a later machine of this name does not start with an old release."""
        store = Store(object_store.client(self.store), self.store.name)
        store.write_json(GENERATIONS + props["node"], data_record.ended(store.read_json(GENERATIONS + props["node"])))
        store.delete(DESIRED + props["node"])
        store.delete(STATUS + props["node"])
        say(f"the files of release {props['release']} stay in bucket {self.store.name}")

    def roll_out(self, props: dict[str, Any], olds: dict[str, Any]) -> dict[str, Any]:
        """Publish `props` as the next generation, wait for it, check the public URL. Returns the outputs."""
        store = Store(object_store.client(self.store), self.store.name)
        node, began = props["node"], time.monotonic()
        record = store.read_json(GENERATIONS + node)
        try:
            stack = json.loads(props["contents"])["stack"]
            restorable = self.restore != "never" and backups.any_there(store, stack, self.stack_key, self.database)
            data_record.refuse_other_kind(record, self.database)
            data = data_record.expects(record, props["device"], restorable)
        except data_record.LostDataError as error:
            raise ReleaseError(f"{node}: {error}. `make up` says what is known of them, and how to go on") from None
        manifest = {**json.loads(props["contents"]), "data": data}
        upload(store, manifest)
        uploaded = time.monotonic() - began
        before = store.read_json(STATUS + node)
        generation = next_generation(store, node, int(olds.get("generation") or 0))
        text = json.dumps({**manifest, "generation": generation}, sort_keys=True)
        signature = release_sign.sign(text, self.signing_key)
        store.write_json(GENERATIONS + node, data_record.published(record, generation))
        store.write_json(DESIRED + node, {"manifest": text, "signature": signature})
        say(f"{node}: release {props['release']}, generation {generation} published")
        if why := release_facts.refused_key(self.store, node, self.node_secret):
            raise ReleaseError(
                f"the object store refuses the machines' key ({why}): check sekha:nodeAccessKey and "
                "sekha:nodeSecretKey; the machine can neither get a release nor report"
            )
        wanted = Wanted(node, props["instance_id"], generation)
        beacon = release_rollout.follow(
            lambda: store.read_json(STATUS + node), wanted, before, self.timeout, say,
            facts=lambda: told(store, node, text, props["address"]),
            answers=lambda: release_facts.answers(props["address"]),
        )  # fmt: skip
        store.write_json(GENERATIONS + node, data_record.served(record, generation, props["device"], self.database))
        needed = public_check(props["domain"], props["address"], beacon.get("ca_pem"))
        stages = {name: row.get("seconds") for name, row in beacon.get("stages", {}).items()}
        return {
            **{key: props[key] for key in INPUTS},
            "generation": generation,
            "stages": {"upload": round(uploaded, 2), **stages},
            "ca_pem": needed or "",
            "version": beacon.get("version") or "",
        }


def told(store: Store, node: str, published: str, address: str) -> str:
    """What is known about a machine that says nothing about the manifest `published`."""
    if store.read_json(DESIRED + node).get("manifest") != published:
        return f"somebody else changed or removed {DESIRED}{node} in the bucket after this release was published there"
    return release_facts.reach(address)


def public_check(domain: str, address: str, ca_pem: str | None) -> str | None:
    """As release_rollout.check_public, with a few tries: a proxy that has just reloaded may refuse a moment."""
    for attempt in range(10):
        try:
            return release_rollout.check_public(domain, address, ca_pem, say)
        except (ReleaseError, ssl.SSLError):
            if attempt == 9:
                raise
            time.sleep(1)
    raise AssertionError("unreachable")


def next_generation(store: Store, node: str, known: int) -> int:
    """One more than any generation this node was ever given: in state, in the bucket's counter, or still desired."""
    counter = store.read_json(GENERATIONS + node).get("generation", 0)
    desired = json.loads(store.read_json(DESIRED + node).get("manifest") or "{}").get("generation", 0)
    return int(max(known, counter, desired)) + 1


def intact(local: Path, stored: tuple[int, str] | None) -> bool:
    """Whether the store has a file as it should be, as far as its size and (where that is an MD5) ETag tell: one that
    somebody changed in the bucket is uploaded again. A file that is not in the cache is taken as it is."""
    if stored is None or not local.exists():
        return stored is not None
    size, etag = stored
    body = local.read_bytes()
    return len(body) == size and (len(etag) != 32 or hashlib.md5(body, usedforsecurity=False).hexdigest() == etag)


def upload(store: Store, manifest: dict[str, Any]) -> None:
    """Store the release's files that the bucket lacks. Raises ReleaseError when one is not in the cache, or damaged."""
    wanted = [step["config"] for step in manifest["steps"]] + [row["sha256"] for row in manifest["files"]]
    wanted.append(manifest["agent"]["sha256"])
    if manifest.get("secrets"):
        wanted.append(manifest["secrets"]["sha256"])
    folder, there = blob_folder(manifest["stack"]), store.files()
    missing = sorted(digest for digest in set(wanted) if not intact(folder / digest, there.get(digest)))
    if absent := [digest for digest in missing if not (folder / digest).exists()]:
        raise ReleaseError(f"{len(absent)} files of the release are not in {folder}; run the program again")
    if missing:
        say(f"uploading {len(missing)} of {len(set(wanted))} files")

    def put(digest: str) -> None:
        body = (folder / digest).read_bytes()
        if hashlib.sha256(body).hexdigest() != digest:  # under its name in the bucket it would never be replaced
            raise ReleaseError(
                f"{(folder / digest).resolve()} was changed or damaged after the release was made from it; "
                "remove it and run the program again"
            )
        store.put_file(digest, body)

    with ThreadPoolExecutor(UPLOADS) as pool:
        list(pool.map(put, missing))


class Release(Resource, module="sekha", name="Release"):
    """What a machine serves. Outputs: release, generation, stages (seconds), ca_pem ("": publicly trusted), version."""

    release: pulumi.Output[str]
    generation: pulumi.Output[int]
    stages: pulumi.Output[dict[str, float]]
    ca_pem: pulumi.Output[str]
    version: pulumi.Output[str]

    def __init__(
        self,
        node: str,
        instance_id: pulumi.Input[str],
        address: pulumi.Input[str],
        device: pulumi.Input[str],
        domain: str,
        bundle: pulumi.Output[Bundle],
        signer: str,
        opts: pulumi.ResourceOptions,
    ) -> None:
        props: dict[str, Any] = {
            "node": node, "instance_id": instance_id, "address": address, "device": device,
            "domain": domain, "signer": signer,
            "release": bundle.apply(lambda made: made.release),
            "contents": bundle.apply(lambda made: made.contents),
            "code": hash_of_modules(*CODE),
            "generation": None, "stages": None, "ca_pem": None, "version": None,
        }  # fmt: skip
        super().__init__(ReleaseProvider(), node, props, opts)
