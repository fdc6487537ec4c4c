"""`make proof-daemon-kills`: kill -9 of the daemon during each kind of action, at three points; then everything agrees.

Before the work of the action (a fault holds it there), after the work and before anybody knows, and at a random moment
without a fault. After each the daemon is started, every acknowledged action ends well, the API shows what was asked
for, and `localcloud check` finds that API, machines, networks and files agree. ONLY=command,... and POINTS=... choose.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from contextlib import closing
from typing import Any

import httpx

from localcloud import fault_store
from localcloud.check import compare
from localcloud.faults import Fault
from localcloud.machines import census, process
from localcloud.machines.paths import paths_from_env
from localcloud.store import Store
from ops.engine import OperatorError
from ops.show import json_line, say, table
from proof.cloud_rig import localcloud, until
from proof.daemon_kill_step import GONE, Step
from proof.daemon_kill_steps import STEPS
from proof.entry import finish

POINTS = {"before": "slow_action", "after": "late_action", "any": ""}
HOLD = 2.0  # s that a fault holds an action; the kill comes at once
END = 300.0  # s for the actions to end after a restart; a certificate's may have to build its authority first


class Proof:
    """A project of its own, and the ids of what was made in it."""

    def __init__(self) -> None:
        self.paths = paths_from_env()
        localcloud("up")
        env = json.loads(localcloud("env", "--new-project", "--json"))
        headers = {"Authorization": f"Bearer {env['HCLOUD_TOKEN']}"}
        self.http = httpx.Client(base_url=env["HCLOUD_ENDPOINT"], headers=headers, timeout=60)
        self.ids: dict[str, Any] = {"iso": self.ask("GET", "/isos")["isos"][0]["id"]}
        self.chance = random.Random(7)  # noqa: S311

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON answer. Raises OperatorError when the API refuses."""
        answer = self.http.request(method, path, json=body)
        if answer.is_error:
            raise OperatorError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else {}

    def fill(self, value: Any) -> Any:
        """The value with ids in place of {name}s."""
        if isinstance(value, dict):
            return {key: self.fill(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self.fill(one) for one in value]
        if isinstance(value, str) and value.startswith("{"):
            return self.ids[value.strip("{}")]
        return value

    def kill(self) -> None:
        """kill -9 of the daemon."""
        daemon = process.load(self.paths.run / "daemon.pid")
        if daemon is None:
            raise OperatorError("the daemon does not run")
        daemon.kill(signal.SIGKILL)
        daemon.wait_gone(5)

    def take(self, step: Step, point: str) -> str:
        """One step with a kill in it; "" or what is wrong afterwards."""
        with closing(Store(self.paths.database)) as store:
            fault = Fault(POINTS[point], command=step.command, count=1, seconds=HOLD) if point != "any" else None
            number = fault_store.add(store, fault).id if fault else 0
            answer = self.ask(step.method, step.path.format(**self.ids), self.fill(step.body))
            self._note(step, answer)
            if fault:
                held = _seen(
                    lambda: number not in [row.id for row in fault_store.listed(store)], 20 if _actions(answer) else 2
                )
            else:
                held = True
                time.sleep(self.chance.uniform(0, 0.4))
            self.kill()
            fault_store.clear(store, [])
            localcloud("up")
            return self._verdict(step, answer, store, held=held)

    def plain(self, step: Step) -> str:
        """One step without a kill."""
        with closing(Store(self.paths.database)) as store:
            answer = self.ask(step.method, step.path.format(**self.ids), self.fill(step.body))
            self._note(step, answer)
            return self._verdict(step, answer, store, held=True)

    def _note(self, step: Step, answer: Any) -> None:
        kind = step.save.removesuffix("2")
        if not step.save:
            return
        made = answer[kind]
        self.ids[step.save] = made["id"]
        self.ids[f"{step.save}_address"] = made.get("ip") or ((made.get("public_net") or {}).get("ipv4") or {}).get(
            "ip"
        )
        self.ids[f"{step.save}_ip"] = ((made.get("public_net") or {}).get("ipv4") or {}).get("id")

    def _verdict(self, step: Step, answer: Any, store: Store, *, held: bool) -> str:
        until(lambda: not store.running_jobs(), END, f"the actions end after {step.command}")
        for action in _actions(answer):
            now = self.ask("GET", f"/actions/{action['id']}")["action"]
            if now["status"] != "success":
                return f"action {now['command']}: {now['status']}, {now['error']}"
        if wrong := self._wrong(step):
            return wrong
        problems = self.disagreements()
        if problems or held:
            return "; ".join(problems)
        return "A FAULT THAT DID NOT HIT" if _actions(answer) else ""

    def disagreements(self) -> list[str]:
        """What `localcloud check` would say."""
        with closing(Store(self.paths.database)) as store:
            return compare(store, census.take(self.paths))[1]

    def _wrong(self, step: Step) -> str:
        """What the API shows otherwise than asked for; waits for what follows an action (a machine that goes off)."""
        path, found = step.check.format(**self.ids), dict[str, Any]()

        def right() -> bool:
            answer = self.http.get(path)
            if step.want == GONE:
                found["status"] = answer.status_code
                return answer.status_code == 404
            found.update({key: _dig(answer.json(), key) for key, _ in step.want})
            return not answer.is_error and all(found[key] == self.fill(value) for key, value in step.want)

        return "" if _seen(right, 30) else f"{path} shows {found}"


def _actions(answer: Any) -> list[Any]:
    """The actions of an answer; some calls need none, being done with their answer."""
    actions = [answer.get("action"), *answer.get("actions", []), *answer.get("next_actions", [])]
    return [action for action in actions if action]


def _seen(condition: Any, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.03)
    return True


def _dig(data: Any, key: str) -> Any:
    for part in key.split("."):
        try:
            data = data[int(part)] if part.isdecimal() else data[part]
        except (LookupError, TypeError):
            return f"no {key}"
    return data


def main() -> int:
    """Live through the steps once for each point; 1 if anything was lost or does not agree."""
    only = [name for name in os.environ.get("ONLY", "").split(",") if name]
    points = [name for name in os.environ.get("POINTS", ",".join(POINTS)).split(",") if name]
    rows: list[tuple[str, str, str, float]] = []
    for point in points:
        proof = Proof()
        if already := proof.disagreements():
            raise OperatorError(f"API and host disagree before the first kill: {'; '.join(already)}")
        for number, step in enumerate(STEPS, 1):
            began = time.monotonic()
            chosen = not only or step.command in only
            wrong = proof.take(step, point) if chosen else proof.plain(step)
            if chosen:
                rows.append((step.command, point, wrong, time.monotonic() - began))
            if wrong or number % 10 == 0:
                say(f"{point}: {number} of {len(STEPS)}: {step.command}: {wrong or 'agrees'}")
    print(table(["command", "killed", "afterwards", "s"], [(c, p, w or "all agree", s) for c, p, w, s in rows]))
    bad = [row for row in rows if row[2]]
    commands = len({row[0] for row in rows})
    print(f"\n{len(rows)} kills during {commands} kinds of calls; {len(bad)} left something lost or in disagreement")
    json_line({"kills": len(rows), "commands": commands, "bad": [row[:3] for row in bad]})
    return 1 if bad else 0


if __name__ == "__main__":
    finish(main)
