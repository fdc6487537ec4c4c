#!/usr/bin/python3
"""Sekha Deploy's agent: polls desired/NODE in the stack's bucket, applies signed releases through cloud-init, reports to
status/NODE.  Python's standard library only; SEKHA_DEPLOY_ROOT moves all paths (tests).  What it does: docs/machine.md."""
import concurrent.futures
import datetime
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(os.environ.get("SEKHA_DEPLOY_ROOT", "/"))
ETC, RUN, VAR = ROOT / "etc/sekha-deploy", ROOT / "run/sekha-deploy", ROOT / "var/lib/sekha-deploy"
CLOUD, BOOT_ID, UPTIME = ROOT / "var/lib/cloud/data", ROOT / "proc/sys/kernel/random/boot_id", ROOT / "proc/uptime"
# The modules of a role, in cloud-init's own order; one `cloud-init modules` run costs what one `cloud-init single` does.
MODULES = {"users": "users_groups", "groups": "users_groups", "write_files": "write_files",
           "packages": "package_update_upgrade_install", "runcmd": "runcmd"}
FAST, SLOW, FAST_FOR = 2.0, 10.0, 120.0  # seconds between polls, and how long polls stay fast after a change
HASH, NAME = re.compile(r"[0-9a-f]{64}"), re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
SECRETS = re.compile(r"sk-sekha-[\w-]+|(?i:(?<=password)|(?<=passwd)|(?<=secret)|(?<=token)|(?<=_key))[\"']?\s*[=:]\s*\S+")


class Refused(Exception):
    """The desired release must not be applied; the message says why."""


class Failed(Exception):
    """A step failed; the message says which and why."""


class Missing(Exception):
    """The bucket has no such object."""


def write(path, data, mode=0o600):
    """Write `data` (str or bytes) to `path` atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data.encode() if isinstance(data, str) else data)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)


def sha256(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Bucket:
    """The stack's S3 bucket: requests signed with AWS Signature Version 4."""

    def __init__(self, bucket, access_key, secret_key):
        url = urllib.parse.urlsplit(bucket["endpoint"])
        virtual = bucket["addressing"] == "virtual"
        self.host = f"{bucket['name']}.{url.netloc}" if virtual else url.netloc
        self.scheme, self.prefix, self.region = url.scheme, "" if virtual else "/" + bucket["name"], bucket["region"]
        self.keys = access_key, secret_key
        self.tls = ssl.create_default_context(cafile=bucket.get("ca_file"))  # a CA of its own is then the only one trusted

    def open(self, method, key, body=b"", headers=()):
        """One request; the caller closes the response. Raises Missing on 404, OSError on everything else that fails."""
        path = urllib.parse.quote(f"{self.prefix}/{key}", safe="/-_.~")
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        digest, scope = hashlib.sha256(body).hexdigest(), f"{now[:8]}/{self.region}/s3/aws4_request"
        signed = f"host:{self.host}\nx-amz-content-sha256:{digest}\nx-amz-date:{now}\n"
        names = "host;x-amz-content-sha256;x-amz-date"
        request = hashlib.sha256(f"{method}\n{path}\n\n{signed}\n{names}\n{digest}".encode()).hexdigest()
        mac = b"AWS4" + self.keys[1].encode()
        for part in (*scope.split("/"), f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{request}"):
            mac = hmac.digest(mac, part.encode(), "sha256")
        authorization = f"AWS4-HMAC-SHA256 Credential={self.keys[0]}/{scope}, SignedHeaders={names}, Signature={mac.hex()}"
        call = urllib.request.Request(f"{self.scheme}://{self.host}{path}", body or None, method=method, headers={
            "x-amz-content-sha256": digest, "x-amz-date": now, "Authorization": authorization,
            "Content-Type": "application/octet-stream", **dict(headers)})
        try:
            return urllib.request.urlopen(call, timeout=20, context=self.tls)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 404:
                raise Missing(f"the bucket has no {key}") from None
            raise OSError(f"bucket: {method} {key}: HTTP {error.code}") from None
        except http.client.HTTPException as error:
            raise OSError(f"bucket: {method} {key}: {error!r}") from None

    def retry(self, call, attempts=8):
        """`call()`, repeated with a growing pause (about 25 s in all) while the bucket or the network fails."""
        for attempt in range(attempts):
            try:
                return call()
            except OSError:
                if attempt == attempts - 1:
                    raise
                time.sleep(min(0.2 * 2 ** attempt, 8))

    def get(self, key):
        with self.open("GET", key) as response:
            return response.read()

    def put(self, key, body):
        self.open("PUT", key, body).close()

    def download(self, digest, target, size=None):
        """releases/files/DIGEST to `target`, continuing where an earlier try stopped. Raises Failed on other content."""
        part = target.with_name(target.name + ".part")
        target.parent.mkdir(parents=True, exist_ok=True)

        def attempt():
            have = part.stat().st_size if part.exists() else 0
            if size is None or have != size:
                headers = {"Range": f"bytes={have}-"} if size and 0 < have < size else {}
                with self.open("GET", "releases/files/" + digest, headers=headers) as response:
                    with part.open("ab" if response.status == 206 else "wb") as file:
                        shutil.copyfileobj(response, file, 1 << 20)
            if sha256(part) != digest:
                if size is None or part.stat().st_size >= size:
                    part.unlink()
                raise OSError(f"bucket: releases/files/{digest} arrived with other content or cut short")
        try:
            self.retry(attempt)
        except (OSError, Missing) as error:
            raise Failed(f"fetch {digest}: {error}") from None
        part.rename(target)


class Agent:
    def __init__(self):
        self.config = json.loads((ETC / "agent.json").read_text())
        self.node = self.config["node"]
        self.bucket = Bucket(self.config["bucket"], self.config["access_key"], self.config["secret_key"])
        applied = VAR / "applied.json"
        self.applied = json.loads(applied.read_text()) if applied.exists() else {"generation": 0, "state": "none", "roles": {}}
        self.hidden = [self.config[key] for key in ("access_key", "secret_key", "stack_key")]
        self.log, self.stages, self.beacon_error = [], {}, None
        self.boot = {"instance_id": (CLOUD / "instance-id").read_text().strip(), "boot_id": BOOT_ID.read_text().strip()}
        self.booted_at = self.stamp(time.time() - float(UPTIME.read_text().split()[0]))

    # -- reporting

    @staticmethod
    def stamp(seconds=None):
        return datetime.datetime.fromtimestamp(time.time() if seconds is None else seconds, datetime.timezone.utc).isoformat(timespec="milliseconds")

    def redact(self, text):
        for value in self.hidden:
            text = text.replace(value, "***")
        return SECRETS.sub("***", text)

    def say(self, text):
        for line in text.splitlines():
            line = self.redact(line.rstrip())[:500]
            print(line, flush=True)
            self.log = [*self.log[-199:], line]

    def beacon(self, stage, state, message="", generation=None, release=None, **more):
        """Write status/NODE. A bucket that can't be reached fails no step: the next beacon says the same and more."""
        serving = self.serving()
        authority = pathlib.Path(serving["ca_file"]) if serving.get("ca_file") else None
        body = {"format": 1, "node": self.node, **self.boot, "stage": stage, "state": state, "message": self.redact(message),
                "generation": self.applied["generation"] if generation is None else generation,
                "release": release or self.applied.get("release"), "log_tail": self.log[-40:] if state == "failed" else self.log[-10:],
                "stages": self.stages, "ca_pem": authority.read_text() if authority and authority.exists() else None,
                "version": self.applied.get("version"), "booted_at": self.booted_at, "updated_at": self.stamp(), **more}
        try:
            self.bucket.retry(lambda: self.bucket.put("status/" + self.node, json.dumps(body).encode()), attempts=4)
        except (OSError, Missing) as error:
            print(f"no beacon: {error}", flush=True)

    def save(self, **changes):
        self.applied.update(changes)
        write(VAR / "applied.json", json.dumps(self.applied))

    # -- commands

    def run(self, *argv, timeout=60, env=None, data=None, log=True):
        """Run a command to its end, at most `timeout` seconds (then its whole process group is killed); return its output.
        Output goes through a file, so that a service it leaves behind does not hold us up. Raises Failed."""
        RUN.mkdir(parents=True, exist_ok=True)
        with (RUN / "output").open("w+b") as output:
            process = subprocess.Popen(argv, stdin=subprocess.PIPE if data is not None else subprocess.DEVNULL, stdout=output,
                                       stderr=subprocess.STDOUT, start_new_session=True, env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})})
            try:
                process.communicate(data, timeout)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            output.seek(0)
            text = output.read().decode(errors="replace")
        if log or process.returncode:
            self.say(text)
        if process.returncode:
            reason = "took longer than %g s" % timeout if process.returncode == -signal.SIGKILL else f"exit code {process.returncode}"
            lines = [line for line in text.splitlines() if line.strip()]
            raise Failed(f"{' '.join(argv[:3])}: {reason}" + (f": {lines[-1][:300]}" if lines else ""))
        return text

    # -- a release

    def verify(self, body):
        """The signed manifest in `body` (bytes of desired/NODE) as (text, dict). Raises Refused."""
        try:
            envelope = json.loads(body)
            text, signature = envelope["manifest"], envelope["signature"]
            write(RUN / "signature", signature)
            data = text.encode()
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Refused(f"desired/{self.node} is not a signed manifest: {error!r}") from None
        try:
            self.run("ssh-keygen", "-Y", "verify", "-f", str(ETC / "allowed_signers"), "-I", "sekha-deploy", "-n", "sekha-release",
                     "-s", str(RUN / "signature"), data=data, log=False)
        except Failed as error:
            raise Refused(f"bad signature: {error}") from None
        manifest = json.loads(text)
        if manifest.get("format") != 1:
            raise Refused(f"manifest format {manifest.get('format')!r} is not 1")
        for key in ("stack", "node"):
            if manifest[key] != self.config[key]:
                raise Refused(f"manifest is for {key} {manifest[key]!r}, this is {self.config[key]!r}")
        if manifest["generation"] < self.applied["generation"]:
            raise Refused(f"generation {manifest['generation']} is lower than {self.applied['generation']}, which was accepted before")
        if manifest["generation"] == self.applied["generation"] and text != self.applied.get("manifest"):
            raise Refused(f"generation {manifest['generation']} was accepted before with other content")
        names = [manifest["release"], *(step["role"] for step in manifest["steps"])]
        paths = [pathlib.PurePosixPath(file["path"]) for file in manifest["files"]]
        if not all(NAME.fullmatch(name) for name in names) or any(path.is_absolute() or ".." in path.parts for path in paths):
            raise Refused("manifest has a release, role or path that leaves its folder")
        return text, manifest

    def store(self, digest, size=None):
        """The file with this SHA-256, fetched unless it is here."""
        if not HASH.fullmatch(digest):
            raise Failed(f"not a SHA-256: {digest!r}")
        target = VAR / "files" / digest
        if not target.exists():
            self.bucket.download(digest, target, size)
        return target

    def place(self, folder, file):
        source, target = self.store(file["sha256"], file.get("size")), folder / file["path"]
        target.parent.mkdir(parents=True, exist_ok=True)
        source.chmod(int(str(file.get("mode", "0644")), 8))
        target.unlink(missing_ok=True)
        os.link(source, target)

    def secrets(self, manifest):
        """Decrypt the release's secrets to secrets.json; the format is infra/release_secrets.py's."""
        if not manifest.get("secrets"):
            (RUN / "secrets.json").unlink(missing_ok=True)
            return
        blob, _, mac = self.store(manifest["secrets"]["sha256"]).read_bytes().rstrip(b"\n").rpartition(b"\n")
        key = self.config["stack_key"]
        expected = hmac.digest(hmac.digest(bytes.fromhex(key), b"sekha-release-mac", "sha256"), blob, "sha256").hex()
        if not hmac.compare_digest(expected.encode(), mac):
            raise Failed("the release's secrets were not encrypted with this stack's key")
        read, send = os.pipe()
        os.write(send, key.encode() + b"\n")
        os.close(send)
        try:
            plain = subprocess.run(["openssl", "enc", "-d", "-aes-256-ctr", "-pbkdf2", "-salt", "-pass", f"fd:{read}"], input=blob,
                                   capture_output=True, pass_fds=[read], timeout=30, check=True).stdout
        except (subprocess.SubprocessError, OSError):
            raise Failed("openssl could not decrypt the release's secrets") from None
        finally:
            os.close(read)
        self.hidden += [value for value in json.loads(plain).values() if isinstance(value, str) and len(value) >= 8]
        write(RUN / "secrets.json", plain)

    def step(self, step, folder, rollback):
        """Apply one role by cloud-init, restart its units when it changed, run its check. Raises Failed."""
        config = folder / "roles" / (step["role"] + ".yaml")
        keys = set(re.findall(r"^(\w+):", config.read_text(), re.MULTILINE))
        modules = list(dict.fromkeys(name for key, name in MODULES.items() if key in keys)) + ["scripts_user"] * ("runcmd" in keys)
        if rollback or step["stage"] != "packages":
            modules = [name for name in modules if name != "package_update_upgrade_install"]
        write(RUN / "modules.yaml", "#cloud-config\n" + json.dumps({"cloud_final_modules": [[name, "always"] for name in modules]}))
        env = {"SEKHA_NO_START": "1"}  # policy-rc.d of the role `base`: units start in their own step, configured
        if self.applied["state"] == "first":  # no data yet: what a power cut could damage is installed again
            env["DPKG_FORCE"] = "security-mac,downgrade,unsafe-io"
        for attempt in range(3 if step["stage"] == "packages" else 1):
            try:
                self.run("cloud-init", "modules", "--mode", "final", "--file", str(RUN / "modules.yaml"), "--file", str(config), timeout=600, env=env)
                break
            except Failed:
                if attempt == 2 or step["stage"] != "packages":
                    raise
                self.run("dpkg", "--configure", "-a", timeout=300, env=env)  # mirrors fail, and a killed agent leaves dpkg half way
                time.sleep(2 * attempt)
        changed = RUN / "changed" / step["role"]  # a role's own scripts leave this when more than its cloud-config changed
        if step["units"] and (self.applied["roles"].get(step["role"]) != step["config"] or changed.exists()):
            self.run("systemctl", "daemon-reload")
            try:
                self.run("systemctl", "restart", *step["units"], timeout=120)
            except Failed:
                self.journal(step["units"])
                raise
        if step["check"]:
            try:
                self.run(step["check"], timeout=180)
            except Failed:
                self.journal(step["units"])
                raise
        changed.unlink(missing_ok=True)
        self.save(roles={**self.applied["roles"], step["role"]: step["config"]})

    def journal(self, units):
        for unit in units:
            try:
                self.run("journalctl", "-b", "-n", "20", "--no-pager", "-o", "cat", "-u", unit, timeout=20)
            except Failed as error:
                self.say(str(error))

    def serving(self):
        path = ETC / "serving.json"  # {"host": name or address, "ca_file": path or null}, written by the role `caddy`
        return json.loads(path.read_text()) if path.exists() else {}

    def serve(self, timeout=90.0):
        """Wait until /health answers 200 over TLS, by the name or address clients use; return the service's version."""
        serving, end, reason = self.serving(), time.monotonic() + timeout, "not tried"
        while time.monotonic() < end:
            try:
                tls = ssl.create_default_context()
                if serving.get("ca_file") and pathlib.Path(serving["ca_file"]).exists():
                    tls.load_verify_locations(serving["ca_file"])
                link = http.client.HTTPSConnection(serving["host"], serving.get("port", 443), timeout=10, context=tls)
                link._create_connection = lambda address, *rest: __import__("socket").create_connection(("127.0.0.1", address[1]), *rest)
                link.request("GET", "/health")
                answer = link.getresponse()
                body = answer.read().decode(errors="replace")
                if answer.status == 200:
                    return json.loads(body).get("version")
                reason = f"HTTP {answer.status}: {body[:300]}"
            except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
                reason = repr(error)
            time.sleep(0.25)
        raise Failed(f"/health was not 200 within {timeout:g} s: {reason}")

    def wait_for_boot(self):
        """cloud-init's own run must be over before ours: both use the same scripts folder."""
        end = time.monotonic() + 120
        while not (CLOUD / "result.json").exists() and time.monotonic() < end:
            time.sleep(0.1)

    def roll(self, text, manifest, rollback=False):
        """Everything from files to serving, with a beacon per stage. Raises Failed."""
        folder = VAR / "releases" / manifest["release"]
        stages = [step["stage"] for step in manifest["steps"]]
        begun, name = time.monotonic(), stages[0] if stages else "serving"

        def enter(stage):
            nonlocal begun, name
            now = time.monotonic()
            self.stages[name] = {"state": "ok", "seconds": round(self.stages.get(name, {}).get("seconds", 0) + now - begun, 2)}
            begun, name = now, stage
            if not rollback:
                self.beacon(stage, "running")

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            try:
                self.beacon(name, "running")
                for step in manifest["steps"]:
                    self.place(folder, {"path": f"roles/{step['role']}.yaml", "sha256": step["config"], "mode": "0600"})
                waiting = [pool.submit(self.place, folder, file) for file in manifest["files"]]
                self.secrets(manifest)
                link = VAR / "release.new"
                link.unlink(missing_ok=True)
                link.symlink_to(folder)
                link.rename(VAR / "release")
                self.wait_for_boot()
                for step in manifest["steps"]:
                    if step["stage"] != name:
                        for future in waiting:  # the files travel while apt works
                            future.result()
                        enter(step["stage"])
                    self.step(step, folder, rollback)
                for future in waiting:
                    future.result()
                enter("serving")
                self.save(version=self.serve())
                self.stages["serving"] = {"state": "ok", "seconds": round(time.monotonic() - begun, 2)}
            except Failed:
                pool.shutdown(cancel_futures=True)
                self.stages[name] = {"state": "failed", "seconds": round(time.monotonic() - begun, 2)}
                self.failed_stage = name
                raise

    def apply(self, text, manifest):
        self.log, self.stages = [], {}
        good = self.applied.get("good")
        self.save(generation=manifest["generation"], manifest=text, release=manifest["release"], state="running" if good else "first")
        self.say(f"applying generation {manifest['generation']}, release {manifest['release']}")
        try:
            self.roll(text, manifest)
        except Failed as error:
            stage, message = self.failed_stage, str(error)
            if good and good != text:
                before, stages, log = json.loads(good), dict(self.stages), self.log
                try:
                    self.roll(good, before, rollback=True)
                    message += f"; release {before['release']} serves again"
                except Failed as worse:
                    message += f"; putting release {before['release']} back failed too: {worse}"
                self.stages, self.log = stages, log
            self.save(state="failed", failed=[stage, message])
            self.say(f"failed: {message}")
            return self.beacon(stage, "failed", message)
        self.save(state="ok", good=text)
        self.say("serving")
        self.beacon("serving", "ok")
        self.clean(manifest["release"], json.loads(good)["release"] if good else None)

    def clean(self, *keep):
        for folder in (VAR / "releases").iterdir():
            if folder.name not in keep:
                shutil.rmtree(folder, ignore_errors=True)
        for file in (VAR / "files").iterdir():
            if file.stat().st_nlink == 1:
                file.unlink()

    def resume(self, text):
        """After a reboot or restart: say again, for this boot, what the release applied before has come to."""
        try:
            if self.applied["state"] == "failed":
                return self.beacon(self.applied["failed"][0], "failed", self.applied["failed"][1])
            self.secrets(json.loads(text))
            self.stages["serving"] = {"state": "ok", "seconds": 0}
            self.save(version=self.serve())
            self.beacon("serving", "ok")
        except Failed as error:
            self.beacon("serving", "failed", str(error))

    def poll(self, last):
        """One look at desired/NODE; returns its bytes. `last`: what was seen before (None at start)."""
        body = self.bucket.get("desired/" + self.node)
        if body != last:
            try:
                text, manifest = self.verify(body)
                if manifest["generation"] > self.applied["generation"] or self.applied["state"] in ("running", "first"):
                    self.apply(text, manifest)
                else:
                    self.resume(text)
            except Refused as error:
                self.say(f"refused: {error}")
                self.beacon("verify", "failed", str(error))
        return body

    def loop(self):
        last, fast_until, complaint = None, time.monotonic() + FAST_FOR, None
        self.beacon("boot", "running", "waiting for a release")
        while True:
            try:
                body, complaint = self.poll(last), None
                if body != last:
                    last, fast_until = body, time.monotonic() + FAST_FOR
            except (OSError, Missing) as error:
                if str(error) != complaint:  # once, not every two seconds
                    complaint = str(error)
                    print(complaint, flush=True)
            time.sleep(FAST if self.applied["generation"] == 0 or time.monotonic() < fast_until else SLOW)


if __name__ == "__main__":
    os.umask(0o022)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Agent().loop()
