"""The rule that ends old versions: set once, beside the operator's own; a store or key that can't is told of."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra import bucket_lifecycle

OWN = {"ID": "mine", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 7}}


class FakeS3:
    """The two calls; `refuse`: code and status of the answer to both."""

    def __init__(self, rules: list[dict[str, Any]] | None, refuse: tuple[str, int] | None = None) -> None:
        self.rules, self.refuse, self.writes = rules, refuse, 0

    def _error(self, code: str, status: int) -> ClientError:
        answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
        return ClientError(answer, "Lifecycle")

    def get_bucket_lifecycle_configuration(self, Bucket: str) -> dict[str, Any]:  # noqa: N803 - boto3's name
        if self.refuse:
            raise self._error(*self.refuse)
        if self.rules is None:
            raise self._error("NoSuchLifecycleConfiguration", 404)
        return {"Rules": self.rules}

    def put_bucket_lifecycle_configuration(self, Bucket: str, LifecycleConfiguration: Any) -> None:  # noqa: N803
        self.rules, self.writes = LifecycleConfiguration["Rules"], self.writes + 1


@pytest.mark.parametrize(
    ("before", "after"),
    [(None, ["sekha-old-versions"]), ([OWN], ["mine", "sekha-old-versions"])],
)
def test_it_is_set_once_beside_others(before: list[dict[str, Any]] | None, after: list[str]) -> None:
    s3: Any = FakeS3(before)
    assert bucket_lifecycle.ensure(s3, "b") == bucket_lifecycle.ensure(s3, "b") == ""
    assert [row["ID"] for row in s3.rules] == after
    assert s3.writes == 1


def test_only_old_versions_of_backups_end() -> None:
    rule = bucket_lifecycle.rule()
    assert rule["Filter"] == {"Prefix": "backups/"}
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert "Expiration" not in rule


@pytest.mark.parametrize(
    ("answer", "told"),
    [(("NotImplemented", 501), "has no lifecycle rules"), (("AccessDenied", 403), "may not set lifecycle rules")],
)
def test_what_can_not_be_set_is_told(answer: tuple[str, int], told: str) -> None:
    s3: Any = FakeS3(None, answer)
    assert told in bucket_lifecycle.ensure(s3, "b")


def test_another_failure_is_one() -> None:
    s3: Any = FakeS3(None, ("InternalError", 500))
    with pytest.raises(ClientError):
        bucket_lifecycle.ensure(s3, "b")
