"""One release on this machine: applied and reported stage by stage, and the one before put back when it fails."""

import contextlib
import json
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sekha_stage0.bucket import connect
from sekha_stage0.common import RUN, VAR, RefusedError, StepError, write
from sekha_stage0.report import Report

from sekha_agent import contents
from sekha_agent.commands import Commands
from sekha_agent.files import Files
from sekha_agent.health import version_served
from sekha_agent.sealed import unseal
from sekha_agent.steps import Applied, Steps, wait_for_cloud_init


class Agent:
    def __init__(self) -> None:
        self.config, bucket = connect()
        self.report = Report(self.config, bucket)
        self.files = Files(bucket)
        self.applied = Applied()
        self.steps = Steps(Commands(self.report), self.applied)

    def take_up(self, text: str) -> None:
        """Apply the manifest `text` (stage 0 has verified it), or report what became of it. Ends with a beacon."""
        manifest: dict[str, Any] = json.loads(text)
        try:
            contents.check(manifest)
        except RefusedError as error:
            self.report.say(f"refused: {error}")
            self.report.beacon("verify", "failed", str(error))
            return
        if manifest["generation"] > self.applied.now["generation"] or self.applied.now["state"] == "running":
            self.apply(text, manifest)
        else:
            self.resume(manifest)

    def apply(self, text: str, manifest: dict[str, Any]) -> None:
        """Roll a release out; if that fails, put back the one that served before. Ends with a beacon: ok or failed."""
        report, good, release = self.report, self.applied.now.get("good"), manifest["release"]
        report.stages = dict(report.boot)
        report.say(f"applying generation {manifest['generation']}, release {release}")
        try:
            self.applied.save(generation=manifest["generation"], manifest=text, release=release, state="running")
            self.roll(manifest)
            self.applied.save(state="ok", good=text)
        except (StepError, OSError) as error:  # disk full
            message, stages, log = str(error), dict(report.stages), report.log
        else:
            report.beacon("serving", "ok", generation=manifest["generation"])
            self.files.clean(release, json.loads(good)["release"] if good else release)
            return
        stage = list(stages)[-1]
        if good and good != text:
            message += self.put_back(json.loads(good), stage)
        report.stages, report.log = stages, log
        report.say(f"failed: {message}")
        report.beacon(stage, "failed", message, manifest["generation"])
        with contextlib.suppress(OSError):  # disk full: it has been said
            self.applied.save(state="failed", failed=[stage, report.redact(message)], log=report.log[-40:])

    def put_back(self, before: dict[str, Any], stage: str) -> str:
        """Apply the release that served before; returns what to tell of it. What failed at `stage` comes first, because
        clients wait for it; where that is in vain (it may need what comes before it), the whole follows anyway."""
        try:
            steps = [step for step in before["steps"] if step["stage"] == stage]
            if steps and steps[0] is not before["steps"][0]:
                with contextlib.suppress(StepError, OSError):
                    self.roll({**before, "steps": steps}, back=True)
            self.roll(before, back=True)
        except (StepError, OSError) as error:
            return f"; release {before['release']} could not be put back: {error}"
        return f"; release {before['release']} serves again"

    def roll(self, manifest: dict[str, Any], back: bool = False) -> None:
        """A release from its files to serving, with a beacon per stage (none when going back). Raises StepError."""
        folder, steps, report = VAR / "releases" / manifest["release"], manifest["steps"], self.report
        roles = {step["role"]: folder / "roles" / f"{step['role']}.yaml" for step in steps}
        pool, begun, stage = ThreadPoolExecutor(4), time.monotonic(), ""
        try:
            for step in [*steps, {"stage": "serving"}]:
                if step["stage"] != stage:
                    stage, begun = step["stage"], time.monotonic()
                    if not back:
                        report.beacon(stage, "running", generation=manifest["generation"])
                if step is steps[0]:
                    for each in steps:
                        self.files.place(roles[each["role"]], each["config"], mode="0600")
                    self.secrets(manifest)
                    same: dict[str, list[dict[str, Any]]] = {}
                    for file in manifest["files"]:  # one thread for all files of the same content
                        same.setdefault(file["sha256"], []).append(file)
                    waiting = [pool.submit(self.files.places, folder, files) for files in same.values()]
                    self.files.point(folder)
                    wait_for_cloud_init()
                else:
                    for future in waiting:  # the files travel while apt works
                        future.result()
                if step["stage"] == "serving":
                    self.applied.save(version=version_served())
                else:
                    self.steps.apply(step, roles[step["role"]], back)
                report.stages[stage] = {"state": "ok", "seconds": round(time.monotonic() - begun, 2)}
        except Exception as error:  # whatever it is, the operator has to hear of it
            report.stages[stage] = {"state": "failed", "seconds": round(time.monotonic() - begun, 2)}
            raise StepError(f"{stage}: {error if isinstance(error, (StepError, OSError)) else repr(error)}") from error
        finally:
            pool.shutdown(cancel_futures=True)

    def secrets(self, manifest: dict[str, Any]) -> None:
        """What the release carries in secret: into secrets.json (memory, 0600); hidden in reports. Raises StepError."""
        (RUN / "secrets.json").unlink(missing_ok=True)
        if not manifest["secrets"]:
            return
        opened = unseal(self.files.store(manifest["secrets"]["sha256"]).read_bytes(), self.config["stack_key"])
        self.report.hidden += [line for line in "\n".join(opened.values()).splitlines() if len(line) >= 8]
        write(RUN / "secrets.json", json.dumps(opened))

    def resume(self, manifest: dict[str, Any]) -> None:
        """After a reboot or restart: report for this boot what became of the release. One that served and does not any
        more (a power cut can leave files empty) is applied again."""
        report, now = self.report, self.applied.now
        if now["state"] == "failed":
            report.log = now.get("log", [])
            return report.beacon(now["failed"][0], "failed", now["failed"][1])
        begun = time.monotonic()
        try:
            self.secrets(manifest)
            self.applied.save(version=version_served())
        except (StepError, OSError) as error:
            report.say(f"{error}; applying release {manifest['release']} again")
            return self.apply(now["manifest"], manifest)
        report.stages["serving"] = {"state": "ok", "seconds": round(time.monotonic() - begun, 2)}
        return report.beacon("serving", "ok")


def main() -> None:
    """Take up what stage 0 accepted."""
    os.umask(0o022)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Agent().take_up(json.loads((VAR / "accepted.json").read_text())["manifest"])
