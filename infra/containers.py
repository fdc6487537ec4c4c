"""What a Docker stack consists of: containers, volumes, networks, files. Pure.

infra/clouds/docker.py gives it to Pulumi, infra/compose.py writes it as a compose.yaml.

No secret is in an environment, an argument or a label. Files, secret or not, reach their volumes by the container
`prepare`, which runs once as root without network and gives each file its owner and mode 0600; everything else runs as
an account of its own, on a read-only root file system, without capabilities.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from infra import keys, naming, roles
from infra.catalog import Catalog
from infra.images import Images
from infra.plan import Choice, Plan, role_variables
from infra.settings import Settings

FILES = Path(__file__).parent / "docker_files"
SERVICE, CHROMA, POSTGRES, CADDY = 10001, 10002, 999, 10003  # accounts; 999 is the official postgres image's
RELEASE_LABEL = "sekha-release"


@dataclass(frozen=True)
class Health:
    """A health check: command, seconds between and for tries, failures until unhealthy, seconds of grace at first."""

    test: tuple[str, ...]
    interval: int
    timeout: int
    retries: int
    start_period: int


@dataclass(frozen=True)
class Share:
    """CPUs and memory (MiB): what a container may use at most, and what it is to have when others want it too."""

    cpus: float
    memory: int
    reserved_cpus: float
    reserved_memory: int

    @property
    def weight(self) -> int:
        """The reserved CPUs as a weight (1024 = one CPU): an engine outside of a swarm reserves none."""
        return round(1024 * self.reserved_cpus)


@dataclass(frozen=True)
class Mount:
    volume: str
    path: str
    read_only: bool = False


@dataclass(frozen=True)
class Container:
    """One container; `once` = runs to its end and stays. `after`: name -> healthy or done. `tmpfs`: path -> options."""

    name: str
    image: str
    user: str
    share: Share
    mounts: tuple[Mount, ...] = ()
    networks: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    tmpfs: dict[str, str] = field(default_factory=dict)
    capabilities: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    health: Health | None = None
    after: dict[str, str] = field(default_factory=dict)
    once: bool = False
    read_only: bool = True
    stop_seconds: int = 30
    stop_signal: str = "SIGTERM"


@dataclass(frozen=True)
class File:
    """A file for the volume of that name, readable by its owner alone."""

    volume: str
    name: str
    content: str = field(repr=False)

    @property
    def source(self) -> str:
        """Where `prepare` finds it."""
        return f"/from/{self.volume}/{self.name}"


@dataclass(frozen=True)
class Volume:
    """`owner` is the number of account and group. `data`: its loss is a loss; everything else can be made again."""

    name: str
    owner: int
    data: bool = False


@dataclass(frozen=True)
class Stack:
    """Everything of one stack; `networks` maps name -> whether it leads nowhere. `release` changes with any content."""

    name: str
    host: str
    containers: tuple[Container, ...]
    volumes: tuple[Volume, ...]
    networks: dict[str, bool]
    files: tuple[File, ...]
    release: str

    def fingerprint(self, container: Container) -> str:
        """12 hex digits that change when a container has to be made anew: with itself and the files it is given."""
        if container.name == "verify":
            return self.release
        volumes = {mount.volume for mount in container.mounts}
        return _digest((container,), tuple(file for file in self.files if file.volume in volumes))

    def title(self, part: str) -> str:
        """The name of a part as Docker knows it."""
        return naming.resource(self.name, part)


def password(stack_key: str) -> str:
    """The database's password: derived from the stack key, so that there is no further secret to keep."""
    return hmac.new(bytes.fromhex(stack_key), b"sekha docker postgres", hashlib.sha256).hexdigest()


def host(settings: Settings) -> str:
    """The name or address that clients use: the domain, else the machine that Docker runs on."""
    return settings.domain or settings.docker_address


def describe(plan: Plan, settings: Settings, catalog: Catalog, choice: Choice, images: Images) -> Stack:
    """The stack of `plan`, run by one Docker engine that may use as much of its machine as `choice` says."""
    variables = role_variables(plan, settings, catalog, choice)
    volumes = (
        Volume("postgres", POSTGRES, data=True),
        Volume("chroma", CHROMA),
        Volume("caddy", CADDY),
        Volume("postgres-files", POSTGRES),
        Volume("sekha-files", SERVICE),
        Volume("caddy-files", CADDY),
    )
    files = _files(settings, variables)
    containers = (
        _prepare(volumes, files, images),
        _postgres(variables, images),
        _chroma(variables, images),
        _sekha(variables, images),
        _caddy(images),
        _verify(settings, images),
    )
    networks = {"front": False, "back": True}
    release = _digest((containers, volumes), files)
    return Stack(plan.stack, host(settings), containers, volumes, networks, files, release)


def _digest(parts: tuple[object, ...], files: tuple[File, ...]) -> str:
    digest = hashlib.sha256(repr(parts).encode())
    for file in files:
        digest.update(f"{file.source}\0{hashlib.sha256(file.content.encode()).hexdigest()}\0".encode())
    return digest.hexdigest()[:12]


def _files(settings: Settings, variables: Mapping[str, object]) -> tuple[File, ...]:
    """The roles' own configuration files, rendered for containers, and what PostgreSQL starts with."""
    secret = password(settings.secrets.stack_key)
    known = {
        **variables,
        "public_ipv4": settings.docker_address,
        "api_key_hashes": [keys.api_key_hash(settings.secrets.api_key)],
        "sekha_listen": "0.0.0.0",  # noqa: S104 - its own network namespace; the port is not published
        "database_url": f"postgresql://sekha:{secret}@postgres/sekha",
        "chroma_host": "chroma",
        "upstream": "sekha:8080",
        "access_log": "stdout",
        "postgres_listen": "*",
    }
    postgres = roles.render_file("postgres", "etc/postgresql/17/main/conf.d/sekha.conf.j2", known)
    return (
        File("postgres-files", "postgresql.conf", postgres),
        File("postgres-files", "pg_hba.conf", (FILES / "pg_hba.conf").read_text()),
        File("postgres-files", "start", (FILES / "start-postgres").read_text()),
        File("postgres-files", "password", secret),
        File("sekha-files", "config.toml", roles.render_file("sekha", "etc/sekha/config.toml.j2", known)),
        File("caddy-files", "Caddyfile", roles.render_file("caddy", "etc/caddy/Caddyfile.j2", known)),
    )  # fmt: skip


def _prepare(volumes: tuple[Volume, ...], files: tuple[File, ...], images: Images) -> Container:
    owners = {volume.name: volume.owner for volume in volumes}
    lines = [f"install -d -o {owner} -g {owner} -m 0700 /to/{name}" for name, owner in owners.items()]
    for file in files:
        owner = owners[file.volume]
        lines.append(f"install -o {owner} -g {owner} -m 0600 {file.source} /to/{file.volume}/{file.name}")
    return Container(
        name="prepare",
        image=images.service,
        user="0:0",
        share=Share(1, 128, 0.1, 16),
        mounts=tuple(Mount(volume.name, f"/to/{volume.name}") for volume in volumes),
        entrypoint=("/bin/sh", "-euc"),
        command=("\n".join(lines),),
        capabilities=("CHOWN", "DAC_OVERRIDE", "FOWNER"),
        once=True,
        read_only=False,
    )


def _postgres(variables: Mapping[str, object], images: Images) -> Container:
    limit = int(str(variables["postgres_memory_max_mb"]))
    return Container(
        name="postgres",
        image=images.postgres,
        user=f"{POSTGRES}:{POSTGRES}",
        share=Share(2, limit, 0.5, limit // 2),
        mounts=(Mount("postgres", "/srv/sekha/postgresql"), Mount("postgres-files", "/etc/sekha", read_only=True)),
        networks=("back",),
        entrypoint=("/bin/bash", "/etc/sekha/start"),
        tmpfs={"/run/postgresql": f"mode=0700,uid={POSTGRES},gid={POSTGRES}", "/tmp": "mode=1777"},  # noqa: S108
        health=Health(("CMD", "pg_isready", "-q", "-h", "/run/postgresql", "-d", "sekha"), 10, 5, 3, 60),
        after={"prepare": "done"},
        stop_seconds=60,
        stop_signal="SIGINT",  # ends sessions; SIGTERM would wait for the service to leave
    )


def _chroma(variables: Mapping[str, object], images: Images) -> Container:
    limit = int(str(variables["chroma_memory_max_mb"]))
    test = "import urllib.request as r; r.urlopen('http://localhost:8000/api/v2/heartbeat', timeout=4)"
    return Container(
        name="chroma",
        image=images.chroma,
        user=f"{CHROMA}:{CHROMA}",
        share=Share(2, limit, 0.5, limit // 2),
        mounts=(Mount("chroma", "/data"),),
        networks=("back",),
        tmpfs={"/tmp": "mode=1777"},  # noqa: S108
        health=Health(("CMD", "/opt/chroma/bin/python", "-I", "-c", test), 10, 5, 3, 40),
        after={"prepare": "done"},
    )


def _sekha(variables: Mapping[str, object], images: Images) -> Container:
    """The guide's limits (2 CPUs, 4 GiB), reservations (1 CPU, 2 GiB) and health check (its curl is Python here)."""
    wanted = int(str(variables["sekha_memory_max_mb"]))
    test = "import urllib.request as r; r.urlopen('http://localhost:8080/health', timeout=9)"
    return Container(
        name="sekha",
        image=images.service,
        user=f"{SERVICE}:{SERVICE}",
        share=Share(2.0, max(4096, wanted), 1.0, 2048),
        mounts=(Mount("sekha-files", "/etc/sekha", read_only=True),),
        networks=("front", "back"),
        tmpfs={"/tmp": "mode=1777"},  # noqa: S108
        health=Health(("CMD", "/opt/sekha/bin/python", "-I", "-c", test), 30, 10, 3, 40),
        after={"postgres": "healthy", "chroma": "healthy"},
    )


def _caddy(images: Images) -> Container:
    return Container(
        name="caddy",
        image=images.caddy,
        user=f"{CADDY}:{CADDY}",
        share=Share(1, 256, 0.25, 64),
        mounts=(Mount("caddy", "/srv/sekha/caddy"), Mount("caddy-files", "/etc/sekha", read_only=True)),
        networks=("front",),
        entrypoint=("caddy",),
        command=("run", "--config", "/etc/sekha/Caddyfile", "--adapter", "caddyfile"),
        env={"HOME": "/tmp", "XDG_CONFIG_HOME": "/tmp", "XDG_DATA_HOME": "/tmp"},  # noqa: S108
        tmpfs={"/tmp": "mode=1777", "/run/caddy": f"mode=0700,uid={CADDY},gid={CADDY}"},  # noqa: S108
        capabilities=("NET_BIND_SERVICE",),
        ports=(80, 443),
        health=Health(("CMD", "nc", "-z", "127.0.0.1", "443"), 10, 5, 3, 40),
        after={"sekha": "healthy"},
    )


def _verify(settings: Settings, images: Images) -> Container:
    """Asks /health through Caddy as a client would, and prints the certificate of the authority it trusted for that."""
    return Container(
        name="verify",
        image=images.service,
        user=f"{CADDY}:{CADDY}",  # who may read Caddy's folder
        share=Share(1, 128, 0.1, 16),
        mounts=(Mount("caddy", "/srv/sekha/caddy", read_only=True),),
        networks=("front",),
        entrypoint=("/opt/sekha/bin/python", "-I", "-c"),
        command=((FILES / "verify.py").read_text(), host(settings)),
        after={"caddy": "healthy"},
        once=True,
    )
