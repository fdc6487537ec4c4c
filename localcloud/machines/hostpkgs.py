"""Debian packages the host needs, installed when missing, without starting any of their services."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from localcloud.machines.sh import ENV, run

# program -> package
PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "nft": "nftables",
    "dnsmasq": "dnsmasq-base",
    "dhcp_release": "dnsmasq-utils",
    "lxcfs": "lxcfs",
    "haproxy": "haproxy",
    "ip": "iproute2",
    "mkfs.ext4": "e2fsprogs",
    "mkfs.xfs": "xfsprogs",
    "losetup": "mount",
    "nsenter": "util-linux",
    "sysctl": "procps",
}
POLICY = Path("/usr/sbin/policy-rc.d")


def missing() -> list[str]:
    """Packages whose program isn't there."""
    return sorted({package for program, package in PROGRAMS.items() if not shutil.which(program, path=ENV["PATH"])})


def ensure(say: Callable[[str], None]) -> None:
    """Install what is missing, under a policy-rc.d that forbids starting services (unless the host has its own)."""
    wanted = missing()
    if not wanted:
        return
    say(f"installing host packages: {' '.join(wanted)}")
    own_policy = not POLICY.exists()
    if own_policy:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        env = {**ENV, "DEBIAN_FRONTEND": "noninteractive"}
        wait = "-oDPkg::Lock::Timeout=300"
        run("apt-get", wait, "-q", "update", env=env, timeout=300)
        run("apt-get", wait, "-qy", "install", "--no-install-recommends", *wanted, env=env, timeout=900)
    finally:
        if own_policy:
            POLICY.unlink(missing_ok=True)
