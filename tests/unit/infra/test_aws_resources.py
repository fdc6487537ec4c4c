"""What only AWS has: metadata of version 2, encryption, a role with nothing too much, a bucket that is shut."""

from __future__ import annotations

import json

import pytest

from infra.clouds import Placement
from infra.clouds.aws_identity import rights_of
from infra.plan import Choice
from tests.unit.infra import golden, mocked
from tests.unit.infra.mocked import Result


@pytest.fixture(scope="module")
def built() -> Result:
    return mocked.build("aws", **golden.EVERYTHING)


def test_the_instance(built: Result) -> None:
    row = built.one("Instance").inputs
    assert row["metadataOptions"] == {
        "httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": 1,
        "instanceMetadataTags": "disabled",
    }  # fmt: skip
    root = row["rootBlockDevice"]
    assert (root["encrypted"], root["volumeType"]) == (True, "gp3")
    assert row["userDataReplaceOnChange"] is True
    assert "keyName" not in row  # nobody comes by SSH
    assert row["creditSpecification"] == {"cpuCredits": "standard"}  # no bill beyond the plan's


def test_volume_and_snapshots_of_it_are_encrypted(built: Result) -> None:
    row = built.one("Volume").inputs
    assert (row["encrypted"], row["type"]) == (True, "gp3")
    assert built.one("VolumeAttachment").inputs["skipDestroy"] is True  # it ends with the machine
    assert built.one("Eip").inputs["instance"].startswith("x-")
    assert built.outputs["data_device"].startswith("/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_x")


def test_the_bucket_is_private_versioned_encrypted_and_forgets_old_versions(built: Result) -> None:
    shut = built.one("BucketPublicAccessBlock").inputs
    assert all(shut[key] is True for key in shut if key not in ("bucket", "region"))
    assert built.one("BucketVersioning").inputs["versioningConfiguration"] == {"status": "Enabled"}
    (rule,) = built.one("BucketServerSideEncryptionConfiguration").inputs["rules"]
    assert rule["applyServerSideEncryptionByDefault"]["sseAlgorithm"] == "AES256"
    (rule,) = built.one("BucketLifecycleConfiguration").inputs["rules"]
    assert rule["noncurrentVersionExpiration"] == {"noncurrentDays": 90}
    assert "expiration" not in rule  # what is current never expires: the database's own backup tool decides that
    (statement,) = json.loads(built.one("BucketPolicy").inputs["policy"])["Statement"]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_the_role_may_do_nothing_too_much() -> None:
    own = "arn:aws:ssm:eu-central-1:1:parameter/sekha/test/sekha-test-1/stack-key"
    rows = {row["Sid"]: row for row in rights_of("b", "sekha-test-1", own)["Statement"]}
    assert rows["secrets"]["Resource"] == [own]
    assert "arn:aws:s3:::b/desired/sekha-test-1" in rows["read"]["Resource"]
    assert rows["write"]["Resource"] == ["arn:aws:s3:::b/status/sekha-test-1", "arn:aws:s3:::b/backups/*"]
    assert rows["keepversions"]["Effect"] == "Deny"
    everywhere = {sid for sid, row in rows.items() if "*" in row["Resource"]}
    assert everywhere == {"sessions"}
    assert all(not action.endswith("*") for row in rows.values() for action in row["Action"])
    assert not any("Principal" in row for row in rows.values())  # an identity's policy names none


def test_a_bucket_that_is_there_is_taken_over() -> None:
    placed = Placement(
        Choice("eu-central-1", "t3.large"), "test", zone="eu-central-1a", image="ami-1", adopt_bucket=True
    )
    assert mocked.build_at("aws", placed).one("Bucket").request.importId == "sekha-test-aws"


def test_the_machine_recovers_and_somebody_is_told(built: Result) -> None:
    alarm = built.one("MetricAlarm", "recovery").inputs
    assert alarm["metricName"] == "StatusCheckFailed_System"
    assert alarm["alarmActions"][0] == "arn:aws:automate:eu-central-1:ec2:recover"
    assert len(alarm["alarmActions"]) == 2
    assert len(mocked.build("aws").one("MetricAlarm", "recovery").inputs["alarmActions"]) == 1


def test_s3_is_reached_without_the_internet(built: Result) -> None:
    row = built.one("VpcEndpoint").inputs
    assert (row["serviceName"], row["vpcEndpointType"]) == ("com.amazonaws.eu-central-1.s3", "Gateway")
    assert len(row["routeTableIds"]) == 2
    assert not built.one("DefaultSecurityGroup").inputs.keys() & {"ingress", "egress"}
