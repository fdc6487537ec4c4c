"""Container stack -> Docker resources. No sizing or policy in here; infra/containers.py describes, this registers."""

from __future__ import annotations

from pathlib import Path

import pulumi
import pulumi_docker as docker

from infra import naming
from infra.catalog import Catalog
from infra.clouds import Placement
from infra.containers import RELEASE_LABEL, Container, Stack
from infra.images import Images
from infra.plan import Plan
from infra.settings import Settings

BUILD_SECONDS, HEALTHY_SECONDS = 1800, 300


def place(plan: Plan, settings: Settings, catalog: Catalog) -> Placement:
    """What the stack may use of the one place there is: the smallest that fits, or the first named that does."""
    sizes = catalog.server_types
    named = bool(settings.server_types)
    choice = plan.choices[0] if named else min(plan.choices, key=lambda one: sizes[one.server_type].memory_gb)
    return Placement(choice, f"what the stack may use of the machine at {settings.docker_host}")


class DockerStack(pulumi.ComponentResource):
    """Images, networks, volumes and containers. `report` is what the container `verify` printed, one JSON object."""

    report: pulumi.Output[str]

    def __init__(self, plan: Plan, stack: Stack, images: Images, context: Path) -> None:
        super().__init__("sekha:cloud:Docker", plan.stack)
        self.plan, self.stack = plan, stack
        self.images = self._images(images, context)
        self.networks = {name: self._network(name, dead_end) for name, dead_end in stack.networks.items()}
        self.volumes = {volume.name: self._volume(volume.name, volume.data) for volume in stack.volumes}
        self.containers: dict[str, docker.Container] = {}
        for container in stack.containers:
            self.containers[container.name] = self._container(container)
        self.report = self.containers["verify"].container_logs.apply(lambda logs: logs or "")
        self.register_outputs({"host": stack.host, "release": stack.release})

    def _options(self, **more: object) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions.merge(pulumi.ResourceOptions(parent=self), pulumi.ResourceOptions(**more))  # type: ignore[arg-type]

    def _tags(self, kind: str, name: str) -> dict[str, str]:
        return naming.labels(self.plan.stack, kind, name)

    def _images(self, images: Images, context: Path) -> dict[str, docker.RemoteImage]:
        """Every image by its reference: ours built by the engine, the others pulled unless they are there."""
        made: dict[str, docker.RemoteImage] = {}
        for part in ("chroma", "service", "postgres", "caddy"):
            reference = getattr(images, part)
            build = None
            if part in images.built:
                build = docker.RemoteImageBuildArgs(
                    context=str(context), dockerfile="Dockerfile", target=part, tags=[reference],
                    build_args={"BASE": images.base}, remove=True, force_remove=True,
                    use_legacy_builder=True,  # the engine itself: it needs neither buildx nor a Docker here
                )  # fmt: skip
            made[reference] = docker.RemoteImage(
                f"image-{part}",
                name=reference,
                build=build,
                keep_locally=build is None,
                force_remove=build is not None,  # a container that still runs on it keeps its layers
                # The reference says what is in it; where the context lies on this machine plays no part.
                opts=self._options(
                    ignore_changes=["build"],
                    custom_timeouts=pulumi.CustomTimeouts(create=f"{BUILD_SECONDS}s"),
                    depends_on=list(made.values()) if build else [],  # they share layers: one build after the other
                ),
            )
        return made

    def _network(self, name: str, dead_end: bool) -> docker.Network:
        return docker.Network(
            f"network-{name}", name=self.stack.title(name), driver="bridge", internal=dead_end,
            labels=[docker.NetworkLabelArgs(label=k, value=v) for k, v in self._tags("network", name).items()],
            opts=self._options(delete_before_replace=True),
        )  # fmt: skip

    def _volume(self, name: str, data: bool) -> docker.Volume:
        return docker.Volume(
            f"volume-{name}", name=self.stack.title(name),
            labels=[docker.VolumeLabelArgs(label=k, value=v) for k, v in self._tags("volume", name).items()],
            opts=self._options(protect=data and self.plan.protect, delete_before_replace=True),
        )  # fmt: skip

    def _container(self, item: Container) -> docker.Container:
        labels = self._tags("container", item.name) | {RELEASE_LABEL: self.stack.fingerprint(item)}
        files = self.stack.files if item.name == "prepare" else ()
        check = item.health
        return docker.Container(
            item.name,
            name=self.stack.title(item.name),
            hostname=item.name,
            image=item.image,
            user=item.user,
            entrypoints=list(item.entrypoint) or None,
            command=list(item.command) or None,
            envs=[f"{name}={value}" for name, value in item.env.items()],
            read_only=item.read_only,
            tmpfs=item.tmpfs or None,
            capabilities=docker.ContainerCapabilitiesArgs(
                drops=["ALL"], adds=[f"CAP_{name}" for name in item.capabilities]
            ),
            security_opts=["no-new-privileges:true"],
            cpus=f"{item.share.cpus:.1f}",
            cpu_shares=item.share.weight,
            memory=item.share.memory,
            memory_reservation=item.share.reserved_memory,
            network_mode=self.networks[item.networks[0]].name if item.networks else "none",
            networks_advanced=[
                docker.ContainerNetworksAdvancedArgs(name=self.networks[name].name, aliases=[item.name])
                for name in item.networks
            ],
            ports=[docker.ContainerPortArgs(internal=port, external=port) for port in item.ports],
            volumes=[
                docker.ContainerVolumeArgs(
                    volume_name=self.volumes[mount.volume].name, container_path=mount.path, read_only=mount.read_only
                )
                for mount in item.mounts
            ],
            uploads=[
                docker.ContainerUploadArgs(
                    file=file.source, content=pulumi.Output.secret(file.content), permissions="0600"
                )
                for file in files
            ],
            healthcheck=docker.ContainerHealthcheckArgs(
                tests=list(check.test), interval=_span(check.interval), timeout=_span(check.timeout),
                retries=check.retries, start_period=_span(check.start_period),
            ) if check else None,
            restart="no" if item.once else "unless-stopped",
            must_run=not item.once,
            attach=item.once,
            logs=item.once,
            wait=check is not None,
            wait_timeout=HEALTHY_SECONDS,
            stop_signal=item.stop_signal,
            stop_timeout=item.stop_seconds,
            destroy_grace_seconds=item.stop_seconds,
            log_driver="json-file",
            log_opts={"max-size": "10m", "max-file": "3"},
            labels=[docker.ContainerLabelArgs(label=name, value=value) for name, value in labels.items()],
            opts=self._options(
                depends_on=[self.images[item.image], *(self.containers[name] for name in item.after)],
                delete_before_replace=True,
                ignore_changes=["memorySwap"],  # the engine's own: as much again, or none where it can't count it
            ),
        )  # fmt: skip


def _span(seconds: int) -> str:
    """Seconds as Docker's API gives them back, so that reading them again is no change: 30s, 1m0s."""
    return f"{seconds}s" if seconds < 60 else f"{seconds // 60}m{seconds % 60}s"
