#!/usr/bin/python3
"""Sekha Deploy's agent: polls desired/NODE in the stack's bucket, applies signed releases by cloud-init and reports to
status/NODE. Standard library only; SEKHA_DEPLOY_ROOT moves every path (tests). How it works: docs/machine.md."""

import contextlib
import datetime
import hashlib
import hmac
import http.client
import json
import os
import re
import runpy
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

T = TypeVar("T")
Keys = tuple[str, str, dict[str, str]]
ROOT = Path(os.environ.get("SEKHA_DEPLOY_ROOT", "/"))
ETC, RUN, VAR = ROOT / "etc/sekha-deploy", ROOT / "run/sekha-deploy", ROOT / "var/lib/sekha-deploy"
CLOUD = ROOT / "var/lib/cloud/data"
FAST, SLOW, FAST_FOR = 2.0, 10.0, 120.0  # seconds between polls, and how long polls stay fast after a change
ATTEMPTS = 8  # for a file; with the pauses between them about half a minute
HASH, NAME = re.compile(r"[0-9a-f]{64}"), re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
SECRET = re.compile(r"sk-sekha-[\w-]+|(?i:(password|passwd|secret|token|_key)\w*[\"']?\s*[=:]\s*)\S+")
# A role's keys and their modules. One `cloud-init modules` does in one process what `cloud-init single` does for each.
INSTALL = "package_update_upgrade_install"
MODULES = {"users": "users_groups", "write_files": "write_files", "packages": INSTALL, "runcmd": "runcmd"}


class RefusedError(Exception):
    """The desired release must not be applied; the message says why."""


class StepError(Exception):
    """A step failed; the message says which and why."""


class MissingError(Exception):
    """The bucket has no such object."""


def write(path: Path, data: str | bytes, mode: int = 0o600) -> None:
    """Write `data` to `path` atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data.encode() if isinstance(data, str) else data)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stamp(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="milliseconds")


def since_boot() -> float:
    """Seconds since PID 1 started. (/proc/uptime may be the host's where the machine is a container.)"""
    started = int((ROOT / "proc/1/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


def retry(call: Callable[[], T], attempts: int) -> T:
    """`call()`, again after a growing pause while network or bucket fail."""
    for attempt in range(attempts - 1):
        try:
            return call()
        except OSError:
            time.sleep(min(0.2 * 2**attempt, 8))
    return call()


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
            raise OSError(f"bucket: {method} {key}: HTTP {error.code}") from None
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
            have = part.stat().st_size if part.exists() else 0
            if not size or have != size:
                span = f"bytes={have}-" if 0 < have < size else ""
                with (
                    self.open("GET", "releases/files/" + digest, span=span) as answer,
                    part.open("ab" if answer.status == 206 else "wb") as file,
                ):
                    shutil.copyfileobj(answer, file, 1 << 20)
            if sha256(part) != digest:
                if part.stat().st_size >= size:  # not merely cut short
                    part.unlink()
                raise OSError("arrived with other content or cut short")

        try:
            retry(attempt, ATTEMPTS)
        except (OSError, MissingError, http.client.HTTPException) as error:
            raise StepError(f"fetch of releases/files/{digest}: {error}") from None
        part.rename(target)


class Agent:
    def __init__(self) -> None:
        self.config: dict[str, Any] = json.loads((ETC / "agent.json").read_text())
        self.node: str = self.config["node"]
        self.bucket = Bucket(self.config)
        if (plug := Path(__file__).with_name("plug.py")).exists():  # the cloud keeps the secrets
            plugged = runpy.run_path(str(plug))
            self.bucket.keys = plugged["keys"]
            self.config |= plugged["secrets"](self.config, sign)
        self.applied: dict[str, Any] = {"generation": 0, "release": None, "state": "none", "roles": {}, "version": None}
        if (VAR / "applied.json").exists():
            self.applied = json.loads((VAR / "applied.json").read_text())
        self.hidden = [self.config[key] for key in ("access_key", "secret_key", "stack_key")]
        self.log: list[str] = []
        self.stages: dict[str, dict[str, Any]] = {}
        uptime = since_boot()
        if not (RUN / "boot_seconds").exists():  # /run is new with each boot
            write(RUN / "boot_seconds", f"{uptime:.2f}")
        self.boot = {"boot": {"state": "ok", "seconds": float((RUN / "boot_seconds").read_text())}}
        self.about = {
            "format": 1,
            "node": self.node,
            "instance_id": (CLOUD / "instance-id").read_text().strip(),
            "boot_id": (ROOT / "proc/sys/kernel/random/boot_id").read_text().strip(),
            "booted_at": stamp(time.time() - uptime),
        }

    # Reporting

    def redact(self, text: str) -> str:
        for value in self.hidden:
            text = text.replace(value, "***")
        return SECRET.sub("***", text)

    def say(self, text: str) -> None:
        lines = [self.redact(line.rstrip())[:500] for line in text.splitlines() if line.strip()]
        if lines:
            print(*lines, sep="\n", flush=True)
        self.log = [*self.log, *lines][-200:]

    def serving(self) -> dict[str, Any]:
        """{"host": name or address that clients use, "ca_file": path} as the role `caddy` wrote it; {} before."""
        path = ETC / "serving.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def beacon(self, stage: str, state: str, message: str = "") -> None:
        """Write status/NODE. A bucket out of reach fails no step: the next beacon says the same and more."""
        authority = Path(self.serving().get("ca_file", "/nonexistent"))
        body = {
            **self.about,
            **{key: self.applied[key] for key in ("generation", "release", "version")},
            "stage": stage,
            "state": state,
            "message": self.redact(message),
            "log_tail": self.log[-40:],
            "stages": self.stages,
            "ca_pem": authority.read_text() if authority.exists() else None,
            "updated_at": stamp(time.time()),
        }
        try:
            retry(lambda: self.bucket.open("PUT", "status/" + self.node, json.dumps(body).encode()).close(), 4)
        except (OSError, MissingError) as error:
            print(f"no beacon: {error}", flush=True)

    def save(self, **changes: Any) -> None:
        self.applied.update(changes)
        write(VAR / "applied.json", json.dumps(self.applied))

    # Commands

    def run(self, *argv: str, timeout: float = 60, env: dict[str, str] | None = None, data: bytes = b"") -> None:
        """Run a command to its end; after `timeout` seconds its process group is killed. Raises StepError.
        The output goes through a file, so that a service which the command leaves behind does not hold us up."""
        RUN.mkdir(parents=True, exist_ok=True, mode=0o755)
        environment = {**os.environ, "LC_ALL": "C.UTF-8", **(env or {})}
        with tempfile.TemporaryFile(dir=RUN) as out:
            child = subprocess.Popen(argv, stdin=-1, stdout=out, stderr=out, start_new_session=True, env=environment)
            try:
                child.communicate(data, timeout)
                reason = f"exit code {child.returncode}"
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
                reason = f"killed after {timeout:g} s"
            out.seek(0)
            text = out.read().decode(errors="replace").strip()
        self.say(text)
        if child.returncode:
            # cloud-init only says that it failed
            told = [line for line in text.splitlines() if ".py[WARNING]" not in line]
            raise StepError(f"{' '.join(argv[:3])}: {reason}: {''.join(told[-1:])[:300]}")

    def units(self, units: list[str], *argv: str, timeout: float) -> None:
        """`run` for something that concerns `units`: when it fails, their journals get into the log."""
        try:
            self.run(*argv, timeout=timeout)
        except StepError:
            for unit in units:
                with contextlib.suppress(StepError):
                    self.run("journalctl", "-b", "-n", "20", "--no-pager", "-o", "cat", "-u", unit)
            raise

    # A release

    def verify(self, body: bytes) -> tuple[str, dict[str, Any]]:
        """The signed manifest in `body` (of desired/NODE), as text and parsed. Raises RefusedError."""
        try:
            envelope = json.loads(body)
            text, signature = str(envelope["manifest"]), str(envelope["signature"])
        except (ValueError, KeyError, TypeError) as error:
            raise RefusedError(f"desired/{self.node} is not a signed manifest: {error!r}") from None
        write(RUN / "signature", signature)
        check = ("-Y", "verify", "-I", "sekha-deploy", "-n", "sekha-release", "-f", str(ETC / "allowed_signers"), "-s")
        try:
            self.run("ssh-keygen", *check, str(RUN / "signature"), data=text.encode())
        except StepError as error:
            raise RefusedError(f"bad signature: {error}") from None
        manifest: dict[str, Any] = json.loads(text)
        if manifest["format"] != 1:
            raise RefusedError(f"manifest format {manifest['format']!r} is not 1")
        for key in ("stack", "node"):
            if manifest[key] != self.config[key]:
                raise RefusedError(f"manifest is for {key} {manifest[key]!r}; this is {self.config[key]!r}")
        new, old = manifest["generation"], self.applied["generation"]
        if new < old or (new == old and text != self.applied["manifest"]):
            raise RefusedError(
                f"generation {new} is {'lower than' if new < old else 'another content for'} {old}, accepted before"
            )
        names = [manifest["release"], *(step["role"] for step in manifest["steps"])]
        paths = [PurePosixPath(file["path"]) for file in manifest["files"]]
        if not all(map(NAME.fullmatch, names)) or any(path.is_absolute() or ".." in path.parts for path in paths):
            raise RefusedError("a release, role or path in the manifest leaves its folder")
        return text, manifest

    def store(self, digest: str, size: int = 0) -> Path:
        """The file with this SHA-256; fetched unless it is here."""
        if not HASH.fullmatch(digest):
            raise StepError(f"not a SHA-256: {digest!r}")
        target = VAR / "files" / digest
        if not target.exists() or sha256(target) != digest:  # a power cut may have emptied it
            self.bucket.download(digest, target, size)
        return target

    def place(self, target: Path, digest: str, size: int = 0, mode: str = "0644") -> None:
        source = self.store(digest, size)
        source.chmod(int(mode, 8))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.hardlink_to(source)

    def places(self, folder: Path, files: list[dict[str, Any]]) -> None:
        for file in files:
            self.place(folder / file["path"], file["sha256"], file["size"], file["mode"])

    def secrets(self, manifest: dict[str, Any]) -> None:
        """Decrypt the release's secrets to secrets.json; the format is infra/release_secrets.py's. Raises StepError."""
        (RUN / "secrets.json").unlink(missing_ok=True)
        if not manifest["secrets"]:
            return
        sealed, _, mac = self.store(manifest["secrets"]["sha256"]).read_bytes().rstrip(b"\n").rpartition(b"\n")
        key = self.config["stack_key"]
        expected = hmac.digest(hmac.digest(bytes.fromhex(key), b"sekha-release-mac", "sha256"), sealed, "sha256")
        if not hmac.compare_digest(expected.hex().encode(), mac):
            raise StepError("the release's secrets are not sealed with this stack's key")
        source, sink = os.pipe()
        os.write(sink, key.encode() + b"\n")
        os.close(sink)
        command = ["openssl", "enc", "-d", "-aes-256-ctr", "-pbkdf2", "-salt", "-pass", f"fd:{source}"]
        plain = subprocess.run(command, input=sealed, capture_output=True, pass_fds=[source], timeout=30)
        os.close(source)
        if plain.returncode:
            raise StepError("openssl could not open the release's secrets")
        lines = "\n".join(map(str, json.loads(plain.stdout).values())).splitlines()
        self.hidden += [line for line in lines if len(line) >= 8]
        write(RUN / "secrets.json", plain.stdout)

    def step(self, step: dict[str, Any], config: Path, back: bool) -> None:
        """Apply one role by cloud-init, restart its units if it changed, run its check. Raises StepError."""
        role, install = step["role"], step["stage"] == "packages" and not back  # packages only go forward
        keys = re.findall(r"^(\w+):", config.read_text(), re.MULTILINE)
        modules = [name for key, name in MODULES.items() if key in keys and (install or name != INSTALL)] + [
            "scripts_user"
        ]
        write(RUN / "modules.json", json.dumps({"cloud_final_modules": [[name, "always"] for name in modules]}))
        env = {"SEKHA_NO_START": "1"}  # policy-rc.d of the role `base`: each unit starts in its own step, configured
        files = ("--file", str(RUN / "modules.json"), "--file", str(config))
        if self.applied["roles"].get(role) != step["config"]:  # what runs is unknown until the check
            self.save(roles={**self.applied["roles"], role: None})
        for attempt in range(3 if install else 1):  # mirrors fail at times, and a killed agent leaves dpkg half way
            self.forget_errors()
            try:
                self.run("cloud-init", "modules", "--mode", "final", *files, timeout=600, env=env)
                break
            except StepError:
                if attempt == (2 if install else 0):
                    raise
                self.run("dpkg", "--configure", "-a", timeout=300, env=env)
        changed = RUN / "changed" / role  # left by a role's own scripts when more than its cloud-config changed
        if step["units"] and (self.applied["roles"].get(role) != step["config"] or changed.exists()):
            self.run("systemctl", "daemon-reload")
            self.units(step["units"], "systemctl", "restart", *step["units"], timeout=120)
        if step["check"]:
            self.units(step["units"], step["check"], timeout=150)
        changed.unlink(missing_ok=True)
        self.save(roles={**self.applied["roles"], role: step["config"]})

    def forget_errors(self) -> None:
        """cloud-init's exit code counts the errors of all runs since boot: one failure would fail all later steps."""
        if (path := CLOUD / "status.json").exists():
            status = json.loads(path.read_text())
            status["v1"].get("modules-final", {})["errors"] = []
            write(path, json.dumps(status), 0o644)

    def serve(self, timeout: float = 60) -> None:
        """Wait until /health answers 200 through Caddy, by the name or address that clients use. Raises StepError."""
        end, reason = time.monotonic() + timeout, ""
        while time.monotonic() < end:
            try:
                serving, tls = self.serving(), ssl.create_default_context()
                if Path(serving["ca_file"]).exists():
                    tls.load_verify_locations(serving["ca_file"])
                with (
                    socket.create_connection(("127.0.0.1", serving.get("port", 443)), 10) as link,
                    tls.wrap_socket(link, server_hostname=serving["host"]) as stream,
                ):
                    stream.sendall(
                        f"GET /health HTTP/1.1\r\nHost: {serving['host']}\r\nConnection: close\r\n\r\n".encode()
                    )
                    answer = http.client.HTTPResponse(stream)
                    answer.begin()
                    body = answer.read().decode(errors="replace")
                if answer.status == 200:
                    return self.save(version=json.loads(body).get("version"))
                reason = f"HTTP {answer.status}: {body[:300]}"
            except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
                reason = repr(error)
            time.sleep(0.2)
        raise StepError(f"/health was not 200 within {timeout:g} s: {reason}")

    def roll(self, manifest: dict[str, Any], back: bool = False) -> None:
        """A release from its files to serving, with a beacon per stage (none when going back). Raises StepError."""
        folder, steps = VAR / "releases" / manifest["release"], manifest["steps"]
        roles = {step["role"]: folder / "roles" / f"{step['role']}.yaml" for step in steps}
        pool, begun, stage = ThreadPoolExecutor(4), time.monotonic(), ""
        try:
            for step in [*steps, {"stage": "serving"}]:
                if step["stage"] != stage:
                    stage, begun = step["stage"], time.monotonic()
                    if not back:
                        self.beacon(stage, "running")
                if step is steps[0]:
                    for each in steps:
                        self.place(roles[each["role"]], each["config"], mode="0600")
                    self.secrets(manifest)
                    same: dict[str, list[dict[str, Any]]] = {}
                    for file in manifest["files"]:  # one thread for all files of the same content
                        same.setdefault(file["sha256"], []).append(file)
                    waiting = [pool.submit(self.places, folder, files) for files in same.values()]
                    self.point(folder)
                else:
                    for future in waiting:  # the files travel while apt works
                        future.result()
                if step["stage"] == "serving":
                    self.serve()
                else:
                    self.step(step, roles[step["role"]], back)
                self.stages[stage] = {"state": "ok", "seconds": round(time.monotonic() - begun, 2)}
        except Exception as error:  # whatever it is, the operator has to hear of it
            self.stages[stage] = {"state": "failed", "seconds": round(time.monotonic() - begun, 2)}
            raise StepError(f"{stage}: {error if isinstance(error, (StepError, OSError)) else repr(error)}") from error
        finally:
            pool.shutdown(cancel_futures=True)

    def point(self, folder: Path) -> None:
        """VAR/release -> `folder`, for the roles' scripts; then wait for cloud-init's own run, it shares files."""
        new = VAR / "release.new"
        new.unlink(missing_ok=True)
        new.symlink_to(folder)
        new.rename(VAR / "release")
        end = time.monotonic() + 120
        while not (CLOUD / "result.json").exists() and time.monotonic() < end:
            time.sleep(0.1)

    def apply(self, text: str, manifest: dict[str, Any]) -> None:
        """Roll a release out; if that fails, put back the one that served before. Ends with a beacon: ok or failed."""
        good = self.applied.get("good")
        self.log, self.stages, release = [], dict(self.boot), manifest["release"]
        self.say(f"applying generation {manifest['generation']}, release {release}")
        try:
            self.save(generation=manifest["generation"], manifest=text, release=release, state="running")
            self.roll(manifest)
            self.save(state="ok", good=text)
        except (StepError, OSError) as error:  # disk full
            message, stages, log = str(error), dict(self.stages), self.log
        else:
            self.beacon("serving", "ok")
            self.clean(release, json.loads(good)["release"] if good else release)
            return
        stage = list(stages)[-1]
        if good and good != text:
            before = json.loads(good)
            try:
                self.roll(before, back=True)
                message += f"; release {before['release']} serves again"
            except (StepError, OSError) as error:
                message += f"; release {before['release']} could not be put back: {error}"
        self.stages, self.log = stages, log
        self.say(f"failed: {message}")
        self.beacon(stage, "failed", message)
        self.save(state="failed", failed=[stage, self.redact(message)])

    def clean(self, *keep: str) -> None:
        """Remove all releases but `keep`, and the files that none of them has."""
        for folder in (VAR / "releases").iterdir():
            if folder.name not in keep:
                shutil.rmtree(folder, ignore_errors=True)
        for file in (VAR / "files").iterdir():
            if file.stat().st_nlink == 1:
                file.unlink()

    def resume(self, manifest: dict[str, Any]) -> None:
        """After a reboot or restart: report for this boot what became of the release applied before."""
        if self.applied["state"] == "failed":
            return self.beacon(self.applied["failed"][0], "failed", self.applied["failed"][1])
        begun, state, message = time.monotonic(), "ok", ""
        try:
            self.secrets(manifest)
            self.serve()
        except (StepError, OSError) as error:
            state, message = "failed", str(error)
        self.stages["serving"] = {"state": state, "seconds": round(time.monotonic() - begun, 2)}
        return self.beacon("serving", state, message)

    def poll(self, last: bytes) -> bytes:
        """One look at desired/NODE: apply what is new (other than `last`); returns what was there."""
        body = self.bucket.get("desired/" + self.node)
        if body != last:
            try:
                text, manifest = self.verify(body)
                if manifest["generation"] > self.applied["generation"] or self.applied["state"] == "running":
                    self.apply(text, manifest)
                else:
                    self.resume(manifest)
            except RefusedError as error:
                self.say(f"refused: {error}")
                self.beacon("verify", "failed", str(error))
        return body

    def loop(self, ticks: Iterable[object] = iter(int, 1)) -> None:
        last, fast_until, complaint = b"", time.monotonic() + FAST_FOR, ""
        self.beacon("boot", "running", "waiting for a release")
        for _ in ticks:
            try:
                body = self.poll(last)
                fast_until = time.monotonic() + FAST_FOR if body != last else fast_until
                last, complaint = body, ""
            except (OSError, MissingError) as error:
                if str(error) != complaint:  # once, not at every poll
                    complaint = str(error)
                    self.say(complaint)
            time.sleep(FAST if not self.applied["generation"] or time.monotonic() < fast_until else SLOW)


if __name__ == "__main__":
    os.umask(0o022)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Agent().loop()
