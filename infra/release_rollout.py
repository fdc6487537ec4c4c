"""Following one machine through a release by its beacons, and the last check from outside. No Pulumi in here."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

FIRST_BEACON = 240.0  # seconds a machine may take from its release being there to its first sign of life
FIRST_WORD = 120.0  # seconds from the first answer at its address to its first beacon: cloud-init runs between
TAKE_UP = 120.0  # seconds a machine that was in touch may take until it reports on the release
POLL = 0.5
PROBE = 5.0  # seconds between two looks whether a machine answers at its address
DEAD_AFTER = 45.0  # seconds for which one that answered may be silent: a reboot is over by then
LONGEST_RESTORE = 12 * 3600.0  # seconds that a restore may take on top of the timeout: its time goes with the data

Beacon = Mapping[str, Any]


class ReleaseError(Exception):
    """The release does not serve; the message says at which stage, why, and what to do."""


@dataclass(frozen=True)
class Wanted:
    """Whose beacons count: this machine (cloud-init's instance id) and this generation of its desired state."""

    node: str
    instance_id: str
    generation: int


def counts(beacon: Beacon, wanted: Wanted, before: Beacon) -> bool:
    """Whether `beacon` speaks about what is wanted: the right machine, and the right generation or the refusal of it.

    A refusal (stage verify) carries the generation that still serves, so it counts when it is not `before`.
    """
    if beacon.get("instance_id") != wanted.instance_id:
        return False
    if beacon.get("stage") == "verify":
        return beacon.get("updated_at") != before.get("updated_at")
    return bool(beacon.get("generation") == wanted.generation)


def follow(
    read: Callable[[], Beacon],
    wanted: Wanted,
    before: Beacon,
    timeout: float,
    say: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    facts: Callable[[], str] = str,
    answers: Callable[[], bool] = lambda: True,
) -> Beacon:
    """Wait until `wanted` serves and return its last beacon; each stage change is said. `timeout` in seconds, a
    restore not counted.

    `facts` tells what is known about a machine that does not speak, `answers` whether it answers at its address.

    Raises ReleaseError: with the machine's (redacted) log when a stage failed, or when no beacon or end came in time.
    """
    start, stage, alive, busy = clock(), "", False, ""
    entered = restoring = spoke = 0.0
    spoken, pulse = before.get("updated_at"), Pulse(answers)
    while True:
        beacon, now = read(), clock() - start
        ours = beacon.get("instance_id") == wanted.instance_id
        if ours and not alive:
            alive = True
            say(f"{wanted.node}: up and in touch after {now:.1f} s")
        if fresh := ours and beacon.get("updated_at") != spoken:
            spoken, spoke = beacon.get("updated_at"), now
        if counts(beacon, wanted, before):
            if beacon["stage"] != stage:
                if stage:
                    say(f"{wanted.node}: {stage} done ({_seconds(beacon, stage)})")
                stage, entered = beacon["stage"], now
                say(f"{wanted.node}: {stage} ...")
            if stage == "restore":
                restoring = now - entered
            if beacon["state"] == "ok":
                say(f"{wanted.node}: {stage} done ({_seconds(beacon, stage)}), {now:.1f} s in all")
                return beacon
            if beacon["state"] == "failed":
                raise ReleaseError(_failure(beacon, wanted))
        elif ours and at_work(beacon, wanted) and beacon["stage"] != busy:
            busy = beacon["stage"]
            say(f"{wanted.node}: still at work on generation {beacon['generation']}: {busy} ...")
        if (dead := pulse.dead_for(now, fresh=fresh)) > DEAD_AFTER:
            raise ReleaseError(_dead(wanted, dead, stage or busy))
        # One that is still at work on an older release takes this one up afterwards, and may be silent meanwhile.
        working = ours and at_work(beacon, wanted) and pulse.answered
        late = TAKE_UP if alive else min(FIRST_BEACON, pulse.first + FIRST_WORD)
        if not stage and not working and now - spoke > min(late, timeout):
            raise ReleaseError(_silence(wanted, now - spoke, alive, facts() or "nothing more is known"))
        if now > timeout + min(restoring, LONGEST_RESTORE):
            raise ReleaseError(
                f"{wanted.node} is still at stage {stage or busy} after {now:.0f} s; raise sekha:releaseTimeout, or "
                "look on the machine at: journalctl -u sekha-agent"
            )
        sleep(POLL)


def at_work(beacon: Beacon, wanted: Wanted) -> bool:
    """Whether the machine is applying an older release: one that was interrupted, as by a power cut, comes first."""
    generation = int(beacon.get("generation") or 0)
    return bool(0 < generation < wanted.generation and beacon["state"] == "running" and beacon["stage"] != "boot")


class Pulse:
    """Whether a machine answers at its address, tried every few seconds. One that never did (something between it and
    us drops everything) is not taken for dead."""

    def __init__(self, answers: Callable[[], bool]) -> None:
        self.answers, self.answered = answers, False
        self.first = float("inf")  # when it answered first
        self._tried, self._last = -PROBE, 0.0

    def dead_for(self, now: float, *, fresh: bool) -> float:
        """Seconds of silence at an address that answered before. `fresh`: it has just spoken through the bucket."""
        if fresh:
            self._last = now
        if now - self._tried >= PROBE:
            self._tried = now
            if self.answers():
                self.answered, self._last, self.first = True, now, min(self.first, now)
        return now - self._last if self.answered and now - self._last >= PROBE else 0.0


def _dead(wanted: Wanted, seconds: float, stage: str) -> str:
    node, at = wanted.node, f" at stage {stage}" if stage else ""
    return (
        f"{node} stopped answering{at}: nothing from its address and nothing in the bucket for {seconds:.0f} s, so it "
        "lost power, hangs, or was cut off from the network. Run make up again: it powers on a machine that is off. "
        f"Its console says more (Hetzner: web console, the server, Console; local cloud: bin/localcloud console {node})"
    )


def _silence(wanted: Wanted, seconds: float, alive: bool, fact: str) -> str:
    node = wanted.node
    what = "was in touch before and has said nothing for" if alive else "never reached the bucket within"
    return (
        f"{node} {what} {seconds:.0f} s; {fact}. Usual causes: no route to the bucket, or a key of the bucket that was "
        f"changed after the machine was made (REPLACE={node} make up). Open its console (Hetzner's web console: the "
        f"server, Console; local cloud: bin/localcloud console {node}) and look at: cloud-init status --long; "
        "journalctl -u sekha-agent"
    )


def _seconds(beacon: Beacon, stage: str) -> str:
    seconds = beacon.get("stages", {}).get(stage, {}).get("seconds")
    return f"{seconds:.1f} s" if seconds is not None else "time unknown"


def _failure(beacon: Beacon, wanted: Wanted) -> str:
    lines = [f"{wanted.node} failed at stage {beacon['stage']}: {beacon.get('message') or 'no reason given'}"]
    lines += [f"  | {line}" for line in beacon.get("log_tail", [])]
    return "\n".join(lines)


def resolves_to(domain: str, address: str) -> bool:
    """Whether the name's IPv4 addresses, as this machine resolves it, are just `address`."""
    try:
        return {row[4][0] for row in socket.getaddrinfo(domain, 443, socket.AF_INET, socket.SOCK_STREAM)} == {address}
    except OSError:
        return False


def healthy(host: str, address: str, ca_pem: str | None, timeout: float = 10.0) -> None:
    """GET https://host/health, pinned to `address`, trusting `ca_pem` alone (None: the system's authorities).

    Raises ReleaseError when it is not answered with 200, ssl.SSLCertVerificationError on an untrusted certificate.
    """
    context = ssl.create_default_context(cadata=ca_pem) if ca_pem else ssl.create_default_context()
    try:
        with (
            socket.create_connection((address, 443), timeout=timeout) as plain,
            context.wrap_socket(plain, server_hostname=host) as secure,
        ):
            secure.sendall(f"GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            answer = http.client.HTTPResponse(secure)
            answer.begin()
            body = answer.read(65536)
    except ssl.SSLCertVerificationError:
        raise
    except (OSError, http.client.HTTPException) as error:
        raise ReleaseError(f"https://{host}/health does not answer from here at {address}: {error}") from error
    if answer.status != http.client.OK:
        raise ReleaseError(f"https://{host}/health answers {answer.status} at {address}: {body[:300]!r}")
    try:
        json.loads(body)
    except ValueError:
        raise ReleaseError(f"https://{host}/health at {address} is no Sekha: {body[:100]!r}") from None


def check_public(domain: str, address: str, ca_pem: str | None, say: Callable[[str], None]) -> str | None:
    """The public URL serves; returns the authority that callers need (None: publicly trusted).

    A domain that is not set up yet is said with the record to make, and is no error. Raises ReleaseError.
    """
    host = domain or address
    try:
        healthy(host, address, None)
        needed = None
    except ssl.SSLCertVerificationError as error:
        if not ca_pem:
            raise ReleaseError(f"https://{host} shows a certificate that nobody vouches for: {error}") from error
        healthy(host, address, ca_pem)
        needed = ca_pem
    if domain and not resolves_to(domain, address):
        say(f"warning: {domain} does not resolve to {address} yet. Set this DNS record: {domain}. A {address}")
    if domain and needed:
        say(f"warning: {domain} serves a certificate of its own authority (output caFile) until ACME succeeds")
    return needed
