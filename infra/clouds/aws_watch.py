"""What AWS itself watches: a failed host recovers the machine; with an address for alerts, figures are told."""

from __future__ import annotations

import pulumi

from infra.clouds.aws_names import Names
from infra.clouds.aws_sdk import aws
from infra.plan import Plan

METRICS = {"cpu": "CPUUtilization"}


def watch(plan: Plan, region: str, server: aws.ec2.Instance, names: Names) -> None:
    """The recovery alarm; and a topic with the plan's alarms where there is somebody to tell."""
    told: list[pulumi.Input[str]] = []
    if plan.alert_email:
        topic = aws.sns.Topic("alerts", name=names.title("alerts"), tags=names.tags("alerts"), opts=names.options())
        aws.sns.TopicSubscription(
            "alerts", topic=topic.arn, protocol="email", endpoint=plan.alert_email, opts=names.options()
        )
        told = [topic.arn]
    about = {"InstanceId": server.id}
    aws.cloudwatch.MetricAlarm(
        "recovery", name=names.title("recovery"), namespace="AWS/EC2", dimensions=about,
        metric_name="StatusCheckFailed_System", statistic="Maximum",
        period=60, evaluation_periods=2, comparison_operator="GreaterThanOrEqualToThreshold", threshold=1,
        alarm_actions=[f"arn:aws:automate:{region}:ec2:recover", *told], alarm_description="host failed: recover",
        tags=names.tags("recovery"), opts=names.options(),
    )  # fmt: skip
    for alarm in plan.alarms if told else ():
        aws.cloudwatch.MetricAlarm(
            f"alarm-{alarm.metric}", name=names.title(alarm.metric), namespace="AWS/EC2", dimensions=about,
            metric_name=METRICS[alarm.metric],
            statistic="Average", period=300, evaluation_periods=2, comparison_operator="GreaterThanThreshold",
            threshold=alarm.percent, alarm_actions=told, tags=names.tags(alarm.metric), opts=names.options(),
        )  # fmt: skip
