"""Stack config -> Settings. Every value is checked before anything is built; all errors are reported at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from urllib.parse import urlsplit

from infra import bucket_place, catalog, checks, cloud_access, restore_settings
from infra.config_reader import PROJECT, Problem, Reader, SettingsError

__all__ = ["Bucket", "Problem", "Secrets", "Settings", "SettingsError", "parse"]

FOREIGN_NAMESPACES = ("hcloud", "digitalocean", "aws", "docker", "pulumi")
DOCKER = "docker"
LOCAL_DOCKER = "unix:///var/run/docker.sock"
IMAGES = ("base", "service", "chroma", "postgres", "caddy")
SECRET_KEYS = (
    "apiKey",
    "stackKey",
    "signingKey",
    "bucketAccessKey",
    "bucketSecretKey",
    "nodeAccessKey",
    "nodeSecretKey",
)
KEYS = (
    "cloud",
    "database",
    "conversations",
    "messagesPerConversation",
    "regions",
    "serverTypes",
    "domain",
    "dnsZone",
    "acmeEmail",
    "alertEmail",
    "adminCidrs",
    "metricsCidrs",
    "sshPublicKeys",
    "monthlyBudget",
    "catalogMaxAgeDays",
    "compare",
    "protect",
    "releaseTimeout",
    "bucket",
    "trustedSigners",
    "images",
    *restore_settings.KEYS,
    *restore_settings.SECRET_KEYS,
    *SECRET_KEYS,
)


@dataclass(frozen=True)
class Bucket:
    """The stack's object store. `addressing` is path or virtual; `ca_file` and `node_principal` may be ""."""

    endpoint: str
    region: str
    name: str
    addressing: str
    ca_file: str = ""
    node_principal: str = ""


@dataclass(frozen=True)
class Secrets:
    """What must never be printed or put into a resource's plain inputs."""

    api_key: str = field(repr=False)
    stack_key: str = field(repr=False)
    signing_key: str = field(repr=False)
    bucket_access_key: str = field(repr=False)
    bucket_secret_key: str = field(repr=False)
    node_access_key: str = field(repr=False)
    node_secret_key: str = field(repr=False)
    cloud_token: str = field(repr=False)


@dataclass(frozen=True)
class Settings:
    """The validated config of one stack. Budget in whole EUR a month (0: none)."""

    stack: str
    cloud: str
    conversations: int
    messages_per_conversation: int
    regions: tuple[str, ...]
    server_types: tuple[str, ...]
    domain: str
    dns_zone: str
    acme_email: str
    alert_email: str
    admin_cidrs: tuple[str, ...]
    metrics_cidrs: tuple[str, ...]
    ssh_public_keys: tuple[str, ...]
    monthly_budget: int
    catalog_max_age_days: int
    protect: bool
    release_timeout: int
    trusted_signers: tuple[str, ...]
    bucket: Bucket
    backups: restore_settings.Backups
    hcloud_endpoint: str
    secrets: Secrets
    docker_host: str = ""
    images: Mapping[str, str] = field(default_factory=dict)
    database: str = restore_settings.POSTGRES

    @property
    def docker_address(self) -> str:
        """Where a Docker stack's ports are: the host that Docker is reached on by SSH, else this machine."""
        return urlsplit(self.docker_host).hostname or "localhost"


def _same(value: str) -> str:
    return value


def _bucket(read: Reader, cloud: str, regions: tuple[str, ...]) -> Bucket:
    raw = read.json("bucket", dict, "an object with endpoint, region, name and addressing")
    fields = ("endpoint", "region", "name", "addressing", "caFile", "nodePrincipal")
    for name in raw:
        if name not in fields:
            read.note(f"{PROJECT}:bucket.{name}", raw[name], f"unknown; known: {', '.join(fields)}")
    raw = bucket_place.resolve(raw, cloud, regions)
    return Bucket(
        endpoint=read.part(raw, "endpoint", checks.endpoint),
        region=read.part(raw, "region", _same),
        name=read.part(raw, "name", checks.bucket_name),
        addressing=read.part(raw, "addressing", lambda value: checks.known("addressing", ("path", "virtual"), value)),
        ca_file=read.part(raw, "caFile", checks.readable_file, optional=True),
        node_principal=read.part(raw, "nodePrincipal", _same, optional=True),
    )


def _images(read: Reader) -> dict[str, str]:
    """Images to take in place of the pinned ones (Docker): part -> reference."""
    raw = read.json("images", dict, f"an object with some of {', '.join(IMAGES)}")
    for name in set(raw) - set(IMAGES):
        read.note(f"{PROJECT}:images.{name}", raw[name], f"unknown; known: {', '.join(IMAGES)}")
    given = {name: (f"{PROJECT}:images.{name}", str(raw[name])) for name in IMAGES if raw.get(name)}
    return {name: read.checked(key, value, value, checks.image, "") for name, (key, value) in given.items()}


def _unknown_keys(read: Reader) -> None:
    for key, value in read.config.items():
        namespace, _, name = key.partition(":")
        if namespace == PROJECT and name not in KEYS:
            near = get_close_matches(name, KEYS, 1)
            hint = f"did you mean {PROJECT}:{near[0]}?" if near else f"known: {', '.join(KEYS)}"
            remedy = f"unknown key; {hint}"
            read.note(key, "(not shown: it may be a secret)" if "key" in name.lower() else value, remedy)
        elif namespace not in (PROJECT, *FOREIGN_NAMESPACES):
            read.note(key, "(not shown)", f"unknown namespace; did you mean {PROJECT}:{name}?")


def parse(
    config: Mapping[str, str], stack: str, environ: Mapping[str, str], encrypted: Collection[str] | None = None
) -> Settings:
    """Settings of `stack` from its full config: `namespace:name` -> text, lists and objects as JSON (PULUMI_CONFIG).

    `environ` may hold the cloud's token (HCLOUD_TOKEN, DIGITALOCEAN_TOKEN) and HCLOUD_ENDPOINT; `encrypted` names the
    keys the config holds encrypted (None: not known). Raises SettingsError listing every problem with its key, value
    and remedy.
    """
    read = Reader(config, stack)
    read.checked("stack", stack, stack, checks.stack_name, "")
    _unknown_keys(read)
    cloud = config.get(f"{PROJECT}:cloud", "hetzner")
    if cloud not in catalog.clouds():
        read.text("cloud", lambda value: checks.known("cloud", catalog.clouds(), value))
        raise SettingsError(read.problems)  # what follows depends on the cloud
    offer = catalog.load(cloud)
    regions = read.texts("regions", lambda value: checks.known("region", offer.network_zones, value)) or offer.preferred
    token = cloud_access.token(read, cloud, environ, encrypted)
    domain = read.text("domain", checks.domain)
    endpoint = config.get("hcloud:endpoint") or environ.get("HCLOUD_ENDPOINT") or "https://api.hetzner.cloud/v1"
    docker_host = (config.get("docker:host") or environ.get("DOCKER_HOST") or LOCAL_DOCKER) if cloud == DOCKER else ""
    if docker_host:
        read.checked("docker:host", docker_host, docker_host, checks.docker_host, "")
    database = restore_settings.read_database(read, cloud == DOCKER)
    store_keys = cloud_access.of(cloud).keys

    def store_key(name: str) -> str:
        return read.secret(name, _same, encrypted, optional=name not in store_keys)

    settings = Settings(
        stack=stack,
        cloud=cloud,
        conversations=read.integer("conversations", 20_000, checks.conversations),
        messages_per_conversation=read.integer("messagesPerConversation", 10, checks.between(1, 1000, "messages")),
        regions=regions,
        server_types=read.texts("serverTypes", lambda value: checks.known("server type", offer.server_types, value)),
        domain=domain,
        dns_zone=read.text("dnsZone", lambda value: checks.dns_zone(value, domain)),
        acme_email=read.text("acmeEmail", checks.email),
        alert_email=read.text("alertEmail", checks.email),
        admin_cidrs=read.texts("adminCidrs", checks.cidr),
        metrics_cidrs=read.texts("metricsCidrs", checks.cidr),
        ssh_public_keys=read.texts("sshPublicKeys", checks.ssh_public_key),
        monthly_budget=read.integer("monthlyBudget", 0, checks.between(0, 1_000_000, "EUR a month (0: no limit)")),
        catalog_max_age_days=read.integer("catalogMaxAgeDays", 90, checks.between(0, 36_500, "days")),
        protect=read.boolean("protect", True),
        release_timeout=read.integer("releaseTimeout", 900, checks.between(60, 7200, "seconds")),
        trusted_signers=read.texts("trustedSigners", checks.signer),
        bucket=Bucket("", "", "", "") if cloud == DOCKER else _bucket(read, cloud, regions),
        backups=restore_settings.read_backups(read, encrypted, database),
        hcloud_endpoint=read.checked("hcloud:endpoint", endpoint, endpoint, checks.cloud_endpoint, ""),
        secrets=Secrets(
            api_key=read.secret("apiKey", checks.api_key, encrypted),
            stack_key=read.secret("stackKey", checks.stack_key, encrypted),
            signing_key=read.secret("signingKey", checks.signing_key, encrypted, optional=cloud == DOCKER),
            bucket_access_key=store_key("bucketAccessKey"),
            bucket_secret_key=store_key("bucketSecretKey"),
            node_access_key=store_key("nodeAccessKey"),
            node_secret_key=store_key("nodeSecretKey"),
            cloud_token=token,
        ),
        docker_host=docker_host,
        images=_images(read),
        database=database,
    )
    if read.problems:
        raise SettingsError(read.problems)
    return settings
