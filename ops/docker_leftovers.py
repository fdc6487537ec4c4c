"""Before `up` and `destroy` of a Docker stack: what a killed `up` left at the engine, and not in the state, goes.

A container or network of the same name would stop the next `up`, and a container in a network that network's removal.
Neither holds data, so they are removed; volumes stay: Docker gives an existing one to whoever makes it by its name.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from infra import naming
from infra.settings import DOCKER
from ops import recover
from ops.engine import Engine, OperatorError
from ops.show import say

COMPOSE = "com.docker.compose.project"
KINDS = {"container": ("--all",), "network": ()}  # in this order: a network goes when nothing is in it
Docker = Callable[..., str]


def clear(engine: Engine, docker: Docker | None = None) -> None:
    """Remove the stack's containers and networks that the state does not know, saying so.

    Raises OperatorError when the engine can't be asked, and when they are Docker Compose's: those were left by nobody.
    """
    settings = recover.settings_of(engine)
    if settings is None or settings.cloud != DOCKER:
        return
    ask = docker or at(settings.docker_host, ssh_options(engine))
    known = {row.get("id") for row in recover.resources(json.loads(engine.capture("stack", "export")))}
    shape = f'{{{{.ID}}}}\t{{{{.Label "{COMPOSE}"}}}}'
    for kind, flags in KINDS.items():
        wanted = ("--filter", f"label={naming.selector(settings.stack)}", "--no-trunc", "--format", shape)
        for line in ask(kind, "ls", *flags, *wanted).splitlines():
            identity, _, project = line.partition("\t")
            if identity in known:
                continue
            if project:
                raise OperatorError(
                    f"Docker Compose runs stack {settings.stack!r} at {settings.docker_host} (project {project}): end "
                    f"it with `docker compose --project-name {project} down` first; the data stay on their volume"
                )
            say(f"{kind} {identity[:12]} is at the engine and not in the state: a killed `up` left it; removing it")
            ask(kind, "rm", *(["--force"] if kind == "container" else []), identity)


def at(host: str, options: Sequence[str]) -> Docker:
    """The Docker command at `host`: by SSH there (which the engine's plugin needs it for, too), else the one here."""
    place = urlsplit(host)
    if place.scheme == "ssh":
        port = ["-p", str(place.port)] if place.port else []
        login = f"{place.username}@{place.hostname}" if place.username else str(place.hostname)
        start = ["ssh", "-o", "BatchMode=yes", *options, *port, login, "docker"]
    else:
        start = ["docker", "--host", host]

    def docker(*arguments: str) -> str:
        # A shell at the other end takes the words apart again.
        words = [f"'{word}'" for word in arguments] if place.scheme == "ssh" else list(arguments)
        try:
            done = subprocess.run([*start, *words], text=True, capture_output=True, check=False, timeout=120)
        except FileNotFoundError as error:
            raise OperatorError(f"`{error.filename}` is not installed here; Docker at {host} is asked by it") from None
        except subprocess.TimeoutExpired:
            raise OperatorError(f"Docker at {host} did not answer within 120 s") from None
        if done.returncode:
            raise OperatorError(f"Docker at {host} can't be asked: {done.stderr.strip()[-500:]}")
        return done.stdout

    return docker


def ssh_options(engine: Engine) -> list[str]:
    """`docker:sshOpts` of the stack's config: a list, as YAML or as the JSON that `pulumi config set` writes."""
    given = (engine.config().get("config") or {}).get("docker:sshOpts") or []
    return [str(word) for word in (json.loads(given) if isinstance(given, str) else given)]
