"""Where this host takes Debian from, read from its own apt configuration: no mirror is named in this project."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

VARIABLES = {"debian": "SEKHA_DEBIAN_MIRROR", "debian-security": "SEKHA_DEBIAN_SECURITY_MIRROR"}


class AptSourcesError(Exception):
    """The host's apt sources don't say where Debian comes from; the text says what to do."""


def _deb822(text: str) -> Iterable[tuple[str, str]]:
    """(URI, suite) pairs of a *.sources file."""
    for stanza in re.split(r"\n\s*\n", re.sub(r"^#.*\n?", "", text, flags=re.MULTILINE)):
        fields = {k.lower(): v for k, v in re.findall(r"^([A-Za-z-]+):[ \t]*(.*(?:\n[ \t].*)*)", stanza, re.MULTILINE)}
        if (
            fields.get("enabled", "yes").strip().lower() in ("no", "false")
            or "deb" not in fields.get("types", "").split()
        ):
            continue
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield uri, suite


def _one_line(text: str) -> Iterable[tuple[str, str]]:
    """(URI, suite) pairs of a *.list file."""
    for line in text.splitlines():
        words = re.sub(r"\[[^\]]*\]", "", line.partition("#")[0]).split()
        if len(words) >= 3 and words[0] == "deb":
            yield words[1], words[2]


def debian_mirrors(apt: Path = Path("/etc/apt"), os_release: Path = Path("/etc/os-release")) -> dict[str, str]:
    """{"debian": URL, "debian-security": URL} of this host, without a trailing slash.

    SEKHA_DEBIAN_MIRROR and SEKHA_DEBIAN_SECURITY_MIRROR go first. Raises AptSourcesError when no mirror is found.
    """
    codename = re.search(r"^VERSION_CODENAME=(\S+)", os_release.read_text(), re.MULTILINE)
    release = codename.group(1) if codename else "stable"
    pairs: list[tuple[str, str]] = []
    for file in [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]:
        if file.is_file() and file.suffix in (".sources", ".list"):
            pairs += (_deb822 if file.suffix == ".sources" else _one_line)(file.read_text())
    found = {name: os.environ.get(variable) for name, variable in VARIABLES.items()}
    for uri, suite in pairs:
        if uri.startswith(("http://", "https://")):
            if suite in (release, "stable"):
                found["debian"] = found["debian"] or uri
            elif suite in (f"{release}-security", "stable-security", f"{release}/updates"):
                found["debian-security"] = found["debian-security"] or uri
    if found["debian"] and not found["debian-security"]:
        # A minimal installation may name none; mirrors that carry it have it beside the main archive.
        found["debian-security"] = found["debian"].rstrip("/") + "-security"
    missing = [name for name, url in found.items() if not url]
    if missing:
        raise AptSourcesError(
            f"apt sources in {apt} name no http(s) mirror of {' and '.join(missing)} for suite {release!r}; "
            f"set {' and '.join(VARIABLES[name] for name in missing)} to its URL"
        )
    return {name: url.rstrip("/") for name, url in found.items() if url}
