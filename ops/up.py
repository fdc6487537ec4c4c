"""`make up`: from nothing to a healthy Sekha, with the seconds of each stage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from infra import release_bundle, release_rollout
from infra.restore_settings import SQLITE
from infra.settings import DOCKER
from ops import census, comparison, docker_leftovers, local, recover
from ops.engine import ON_LOCAL_CLOUD, Engine, OperatorError
from ops.paths import REPO, cache, stack_dir, write_private
from ops.show import json_line, say, table

YES = os.environ.get("YES") == "1"
"""YES=1: no question before a stack other than `local` is changed."""

BOOTING = 120.0  # seconds a stopped machine may take until it serves again

STAGES = (
    "tools",
    "image",
    "api",
    "wheels",
    "config",
    "boot",
    "packages",
    "restore",
    "database",
    "vectors",
    "service",
    "tls",
    "serving",
)


def wheelhouse() -> Path:
    """Build (or find) the wheels that a release carries; keyed by content in the cache. Raises OperatorError."""
    try:
        return release_bundle.wheelhouse(cache())
    except subprocess.CalledProcessError as error:
        raise OperatorError("the service's wheels could not be built; the lines above say why.") from error


def prepared(engine: Engine) -> Engine:
    """An engine with what every program run needs: passphrase, wheels, and for `local` the running cloud's config."""
    if engine.stack not in ON_LOCAL_CLOUD:
        engine.require_config()
    carry_wheels(engine)
    configure(engine)
    return engine


def tell_cost(engine: Engine, outputs: dict[str, Any]) -> None:
    """Tell the program what the stack has cost so far, so that it can say the difference."""
    engine.extra_env["SEKHA_COST_BEFORE"] = str(outputs.get("monthlyCost") or "")


def carry_wheels(engine: Engine) -> None:
    """Tell the program where the release's wheels are, building them first unless they are there."""
    engine.extra_env["SEKHA_WHEELHOUSE"] = str(wheelhouse())


def configure(engine: Engine) -> None:
    """Make sure of stack and passphrase; for `local` also of the config that its running cloud gives."""
    if engine.stack in ON_LOCAL_CLOUD:
        local.configure(engine, local.cloud_env())
    else:
        engine.select()
    config = engine.config().get("config", {})
    if config.get("sekha:database") == SQLITE:
        carry_litestream(engine)
    if config.get("sekha:cloud") == DOCKER:
        docker_plugin(engine)


def carry_litestream(engine: Engine) -> None:
    """Tell the program where litestream is, building it first unless it is there. Raises OperatorError."""
    try:
        engine.extra_env["SEKHA_LITESTREAM"] = str(release_bundle.litestream())
    except subprocess.CalledProcessError as error:
        raise OperatorError("litestream could not be built; the lines above say why.") from error


def docker_plugin(engine: Engine) -> None:
    """See to the engine's Docker plugin, which only such a stack needs. Raises OperatorError."""
    command = [sys.executable, "-m", "tools.toolchain_docker"]
    if subprocess.run(command, cwd=REPO, env=engine.environment(), stdout=subprocess.DEVNULL, check=False).returncode:
        raise OperatorError("the engine's Docker plugin could not be got; the lines above say why.")


class Stages:
    """Seconds by stage name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def measure(self, name: str, started: float) -> None:
        self.seconds[name] = round(time.time() - started, 1)


def up(stack: str, configured: bool = False) -> None:
    """Bring `stack` up and print the stage table, the URL and how to use it. `configured`: the cloud runs and the
    config is made already."""
    stages = Stages()
    stages.measure("tools", float(os.environ.get("SEKHA_STARTED", time.time())))
    engine = local.engine_of(stack)
    if comparison.is_comparison(stack):
        comparison.run(engine, "up")
        return
    if stack in ON_LOCAL_CLOUD:
        if os.geteuid() != 0:
            raise OperatorError("`make up` boots machines on this one and needs root: run it as root.")
        stages.seconds |= {} if configured else local.start_cloud()
    else:
        engine.require_config()
        if not YES and not sys.stdin.isatty():
            raise OperatorError("nobody is there to answer the engine's question: set YES=1 to go on without it.")
    started = time.time()
    carry_wheels(engine)
    stages.measure("wheels", started)
    if not configured:
        started = time.time()
        configure(engine)
        stages.measure("config", started)

    docker_leftovers.clear(engine)
    refresh = recover.recover(engine) or (["--refresh"] if os.environ.get("REFRESH") == "1" else [])
    outputs = engine.outputs()
    before = outputs.get("stages")
    tell_cost(engine, outputs)
    started = time.time()
    replace = replacement(engine) + refresh
    if stack in ON_LOCAL_CLOUD:
        engine.up("--yes", "--skip-preview", *replace)
    else:
        engine.up(*(["--yes"] if YES else []), *replace, interactive=not YES)
    total = round(time.time() - started, 1)
    outputs = engine.outputs()
    if outputs.get("stages") == before:
        outputs["stages"] = {}  # of an earlier run: this one rolled nothing out, so nobody has looked at the service
        still_serves(stack, outputs)
    report(stack, stages, outputs, total, take_census(engine, outputs))


def take_census(engine: Engine, outputs: dict[str, Any]) -> int | None:
    """How many conversations there are; noted in the bucket when that is another number than after the last `up`."""
    last = stack_dir(engine.stack) / "last-up.json"
    before = json.loads(last.read_text()).get("conversations") if last.exists() else None
    now = census.count(outputs)
    if now is None or now == before:
        return now
    settings = recover.settings_of(engine)
    if settings and settings.bucket.name:  # a Docker stack has none
        census.remember(settings, now)
    return now


def still_serves(stack: str, outputs: dict[str, Any]) -> None:
    """Look at the service where the engine found nothing to change; a machine that is booting gets BOOTING seconds.

    Raises OperatorError when it does not answer.
    """
    host, address = str(outputs.get("url")).removeprefix("https://"), str(outputs.get("address"))
    end, told = time.monotonic() + BOOTING, False
    while True:
        try:
            ca_pem = Path(outputs["caFile"]).read_text() if outputs.get("caFile") else None
            release_rollout.check_public("" if host == address else host, address, ca_pem, say)
            return
        except (release_rollout.ReleaseError, OSError) as error:
            if time.monotonic() > end:
                raise OperatorError(
                    f"nothing was to be changed, and yet Sekha does not serve: {error}. `make preview "
                    f"STACK={stack}` shows what the cloud lacks; `REFRESH=1 make up STACK={stack}` makes it again."
                ) from error
        if not told:
            say(f"nothing to change; waiting up to {BOOTING:g} s for {host} to answer")
        told = True
        time.sleep(1)


MACHINES = ("/server:Server::", "/droplet:Droplet::", "/instance:Instance::")
"""A machine in a resource's URN, on each cloud."""


def replacement(engine: Engine) -> list[str]:
    """With REPLACE=NAME, the engine's arguments that replace the server of that name (its volume and address stay)."""
    name = os.environ.get("REPLACE")
    if not name:
        return []
    state = json.loads(engine.capture("stack", "export"))
    resources = (state.get("deployment") or {}).get("resources") or []
    servers = {
        urn.rsplit("::", 1)[-1]: urn
        for urn in (row["urn"] for row in resources)
        if any(kind in urn for kind in MACHINES)
    }
    if name not in servers:
        known = ", ".join(sorted(servers)) or "none"
        raise OperatorError(f"REPLACE={name}: the stack has no server of that name; it has: {known}")
    return ["--replace", servers[name]]


def report(
    stack: str, stages: Stages, outputs: dict[str, Any], pulumi_up: float, conversations: int | None = None
) -> None:
    """Print what was done and how to use it."""
    stages.seconds |= {name: float(value) for name, value in (outputs.get("stages") or {}).items()}
    rows = [(name, stages.seconds[name]) for name in STAGES if name in stages.seconds]
    print(table(["stage", "seconds"], [*rows, ("pulumi up, whole", pulumi_up)]))
    print(usage(stack, outputs))
    figures = {"ok": True, "stack": stack, "url": outputs.get("url"), "pulumi_up_seconds": pulumi_up}
    figures |= {"stages": stages.seconds, "conversations": conversations}
    write_private(stack_dir(stack) / "last-up.json", json.dumps(figures))
    json_line(figures)


def usage(stack: str, outputs: dict[str, Any]) -> str:
    """How to reach the service that is up now. The API key is not printed: it may end in a log."""
    ca = f" --cacert {outputs['caFile']}" if outputs.get("caFile") else ""
    lines = [
        "",
        f"Sekha is up: {outputs.get('url')}",
        "",
        f'  KEY=$(make -s outputs STACK={stack} | sed \'s/.*"apiKey": "\\([^"]*\\)".*/\\1/\')',
        f"  curl{ca} {outputs.get('url')}/health",
        f'  curl{ca} -H "Authorization: Bearer $KEY" {outputs.get("url")}/api/v1/conversations',
        "",
        f"  ssh:      {ssh_command(stack, outputs)}",
        f"  costs:    {outputs.get('monthlyCost')}",
    ]
    if ca:
        lines.insert(-2, f"  Python:   SSL_CERT_FILE={outputs['caFile']} makes the sekha SDK trust it")
    return "\n".join(lines)


def ssh_command(stack: str, outputs: dict[str, Any]) -> str:
    """The stack's `ssh` output; for `local` with the key that `make up` generated."""
    command = str(outputs.get("ssh"))
    key = stack_dir(stack) / "ssh_key"
    return command.replace("ssh ", f"ssh -i {key} ", 1) if key.exists() and command.startswith("ssh ") else command
