"""Where the local cloud keeps its things, all under the project's cache folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

OWNER_FILE = Path("/run/sekha-localcloud.json")  # fixed for the whole machine: there is room for one local cloud


@dataclass(frozen=True)
class Paths:
    """Folders of one local cloud. `cache` is shared (image, mirror, toolchain, CA); `cloud` is its own state."""

    cache: Path
    cloud: Path

    @property
    def servers(self) -> Path:
        return self.cloud / "servers"

    @property
    def volumes(self) -> Path:
        return self.cloud / "volumes"

    @property
    def networks(self) -> Path:
        return self.cloud / "networks"

    @property
    def objects(self) -> Path:
        return self.cloud / "objects"

    @property
    def run(self) -> Path:
        return self.cloud / "run"

    @property
    def secrets(self) -> Path:
        return self.cloud / "secrets.json"

    @property
    def database(self) -> Path:
        return self.cloud / "state.db"

    @property
    def ca(self) -> Path:
        """The local cloud's own CA: shared, for the base image trusts it."""
        return self.cache / "cloud" / "ca"

    @property
    def mirror(self) -> Path:
        return self.cache / "mirror"

    @property
    def images(self) -> Path:
        return self.cache / "image"

    def server(self, server_id: int) -> Path:
        return self.servers / str(server_id)

    def volume(self, volume_id: int) -> Path:
        return self.volumes / f"{volume_id}.img"

    def make(self) -> None:
        """Create the folders; the cloud's own is for root only."""
        self.cache.mkdir(parents=True, exist_ok=True)
        self.cloud.mkdir(parents=True, exist_ok=True)
        self.cloud.chmod(0o700)
        for folder in (self.servers, self.volumes, self.networks, self.objects, self.run, self.ca, self.mirror):
            folder.mkdir(parents=True, exist_ok=True)


def paths_from_env() -> Paths:
    """SEKHA_CACHE (default ${XDG_CACHE_HOME:-~/.cache}/sekha-deploy) and SEKHA_CLOUD_DIR (default its cloud/).

    Without symbolic links, for the kernel names mounts and files of loop devices by their real paths.
    """
    home_cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    cache = Path(os.environ.get("SEKHA_CACHE") or Path(home_cache) / "sekha-deploy").resolve()
    cloud = Path(os.environ.get("SEKHA_CLOUD_DIR") or cache / "cloud").resolve()
    return Paths(cache=cache, cloud=cloud)
