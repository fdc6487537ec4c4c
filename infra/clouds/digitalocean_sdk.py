"""DigitalOcean's SDK, as far as it is used: reading all of it takes half a second, what is used a tenth of that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.clouds import slim

if TYPE_CHECKING:
    import pulumi_digitalocean as do
else:
    USED = (
        "_inputs", "dns_record", "droplet", "firewall", "monitor_alert", "project", "provider", "reserved_ip",
        "spaces_bucket", "spaces_key", "ssh_key", "tag", "uptime_alert", "uptime_check", "volume", "vpc",
    )  # fmt: skip
    do = slim.package("pulumi_digitalocean", USED)

__all__ = ["do"]
