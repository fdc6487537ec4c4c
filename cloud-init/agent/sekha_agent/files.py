"""The release's files on the machine: stored by SHA-256, linked into the release's folder."""

import shutil
from pathlib import Path
from typing import Any

from sekha_stage0.bucket import Bucket
from sekha_stage0.common import VAR, sha256


class Files:
    """VAR/files holds each content once, VAR/releases/ID links to it, VAR/release points to the release in use."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket

    def store(self, digest: str, size: int = 0) -> Path:
        """The file with this SHA-256; fetched unless it is here. Raises StepError."""
        target = VAR / "files" / digest
        if not target.exists() or sha256(target) != digest:  # a power cut may have emptied it
            self.bucket.download(digest, target, size)
        return target

    def place(self, target: Path, digest: str, size: int = 0, mode: str = "0644") -> None:
        """The file with this SHA-256 at `target`."""
        source = self.store(digest, size)
        source.chmod(int(mode, 8))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.hardlink_to(source)

    def places(self, folder: Path, rows: list[dict[str, Any]]) -> None:
        """Some of a manifest's files in the release's folder."""
        for row in rows:
            self.place(folder / row["path"], row["sha256"], row["size"], row["mode"])

    def point(self, folder: Path) -> None:
        """VAR/release -> `folder`, for the roles' scripts."""
        new = VAR / "release.new"
        new.unlink(missing_ok=True)
        new.symlink_to(folder)
        new.rename(VAR / "release")

    def clean(self, *keep: str) -> None:
        """Remove all releases but `keep`, and the files that none of them has."""
        for folder in (VAR / "releases").iterdir():
            if folder.name not in keep:
                shutil.rmtree(folder, ignore_errors=True)
        for file in (VAR / "files").iterdir():
            if file.stat().st_nlink == 1:
                file.unlink()
