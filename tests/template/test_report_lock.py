"""Object Lock of recon reports: a locked version cannot be erased, so nothing may be locked that names a user."""

import json
from typing import Any

from tests.tables import template


def test_the_bucket_locks_nothing_by_itself_and_is_not_replaced() -> None:
    """AWS, "AWS::S3::Bucket": ObjectLockEnabled may be given at creation only; ObjectLockConfiguration at any time."""
    bucket: dict[str, Any] = template()["Resources"]["ReconBucket"]["Properties"]
    assert bucket["ObjectLockConfiguration"] == {
        "Fn::If": ["HasReportLock", {"ObjectLockEnabled": "Enabled"}, {"Ref": "AWS::NoValue"}]
    }
    assert "ObjectLockEnabled" not in bucket
    # A locked version outlives no report: the lifecycle cannot delete it before.
    [reports] = [each for each in bucket["LifecycleConfiguration"]["Rules"] if each["Id"] == "Reports"]
    assert template()["Parameters"]["ReconReportLockDays"]["MaxValue"] == reports["ExpirationInDays"]
    assert template()["Parameters"]["ReconReportLockDays"]["Default"] == 0


def test_only_the_summary_may_lock_and_only_a_report() -> None:
    text = json.dumps(template())
    assert text.count("s3:PutObjectRetention") == 1
    assert "s3:BypassGovernanceRetention" not in text
    [policy] = template()["Resources"]["ReconSummaryFunction"]["Properties"]["Policies"]
    [statement] = [each for each in policy["Statement"] if "s3:PutObjectRetention" in each["Action"]]
    assert statement["Resource"] == {"Fn::Sub": "${ReconBucket.Arn}/reports/*"}
