"""What DigitalOcean itself watches: whether the service answers from outside, and the droplet's figures."""

from __future__ import annotations

import pulumi

from infra import naming
from infra.clouds.digitalocean_sdk import do
from infra.plan import Plan

METRICS = {"cpu": "v1/insights/droplet/cpu"}


def watch(plan: Plan, droplet: do.Droplet, address: do.ReservedIp, opts: pulumi.ResourceOptions) -> None:
    """An uptime check; with an address for alerts, alerts on it and on the plan's alarms.

    Without a domain the certificate is of the machine's own authority, which the check would refuse: then it pings.
    """
    target = pulumi.Output.from_input(f"https://{plan.domain}/health") if plan.domain else address.ip_address
    check = do.UptimeCheck(
        "uptime", name=naming.resource(plan.stack, "uptime"), type="https" if plan.domain else "ping", target=target,
        enabled=True, opts=opts,
    )  # fmt: skip
    if not plan.alert_email:
        return
    do.UptimeAlert(
        "down", name=naming.resource(plan.stack, "down"), check_id=check.id, type="down", period="2m",
        notifications=[do.UptimeAlertNotificationArgs(emails=[plan.alert_email])], opts=opts,
    )  # fmt: skip
    for alarm in plan.alarms:
        do.MonitorAlert(
            f"alarm-{alarm.metric}", description=f"{naming.resource(plan.stack, alarm.metric)} over {alarm.percent} %",
            type=METRICS[alarm.metric], compare="GreaterThan", value=alarm.percent, window="10m", enabled=True,
            entities=[droplet.id], alerts=do.MonitorAlertAlertsArgs(emails=[plan.alert_email]), opts=opts,
        )  # fmt: skip
