"""CloudTrail's data events: off by default; on, of the vault and the table alone, in a bucket that only they fill."""

from typing import Any

from tests.tables import template


def _properties(name: str) -> dict[str, Any]:
    found = template()["Resources"][name]
    assert found["Condition"] == "HasDataEvents"
    properties: dict[str, Any] = found["Properties"]
    return properties


def test_they_are_off_by_default_and_their_bucket_outlives_the_parameter() -> None:
    assert template()["Parameters"]["DataEventRetentionDays"]["Default"] == 0
    assert template()["Conditions"]["HasDataEvents"] == {
        "Fn::Not": [{"Fn::Equals": [{"Ref": "DataEventRetentionDays"}, 0]}]
    }
    bucket = template()["Resources"]["DataEventBucket"]
    assert bucket["DeletionPolicy"] == {"Fn::If": ["IsLocal", "Delete", "Retain"]}
    [rule] = bucket["Properties"]["LifecycleConfiguration"]["Rules"]
    assert rule["ExpirationInDays"] == {"Ref": "DataEventRetentionDays"}


def test_the_trail_has_every_call_of_the_vault_and_the_table_and_no_other() -> None:
    trail = _properties("DataEventTrail")
    assert trail["EnableLogFileValidation"]
    [selector] = trail["EventSelectors"]
    assert (selector["ReadWriteType"], selector["IncludeManagementEvents"]) == ("All", False)
    # AWS, "DataResource": the slash means every object of this bucket; without it a bucket of a longer name, too.
    assert selector["DataResources"] == [
        {"Type": "AWS::S3::Object", "Values": [{"Fn::Sub": "${PersonalDataBucket.Arn}/"}]},
        {"Type": "AWS::DynamoDB::Table", "Values": [{"Fn::GetAtt": ["StateTable", "Arn"]}]},
    ]


def test_only_this_trail_may_write_to_the_bucket_and_use_the_key_for_it() -> None:
    name = _properties("DataEventTrail")["TrailName"]["Fn::Sub"]
    source = "arn:${AWS::Partition}:cloudtrail:${AWS::Region}:${AWS::AccountId}:trail/" + name
    statements = _properties("DataEventBucketPolicy")["PolicyDocument"]["Statement"]
    of_the_key = [
        each["Fn::If"][1]
        for each in template()["Resources"]["StateKey"]["Properties"]["KeyPolicy"]["Statement"]
        if each.get("Fn::If", [""])[0] == "HasDataEvents"
    ]
    allowing = [each for each in (*statements, *of_the_key) if each["Effect"] == "Allow"]
    assert len(allowing) == 3
    for each in allowing:
        assert each["Principal"] == {"Service": "cloudtrail.amazonaws.com"}
        assert each["Condition"] == {"StringEquals": {"aws:SourceArn": {"Fn::Sub": source}}}


def test_no_role_of_the_stack_can_read_or_change_them() -> None:
    for name, each in template()["Resources"].items():
        if name not in ("DataEventBucket", "DataEventBucketPolicy", "DataEventTrail", "StateKey"):
            assert "DataEvent" not in str(each), name
