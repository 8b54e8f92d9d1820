"""The optional plan of AWS Backup: off by default, of the state table alone, with a role for no more than that."""

import json
import re
from typing import Any

from tests.tables import template
from tests.template.transformed import transformed

_ALWAYS = ("BackupVault", "BackupRole")
_ON = (("BackupRetentionDays", "90"),)


def _backup(*parameters: tuple[str, str]) -> dict[str, Any]:
    return {
        name: each
        for name, each in transformed(*parameters)["Resources"].items()
        if each["Type"].startswith("AWS::Backup::") or name == "BackupRole"
    }


def test_it_is_off_by_default_and_everything_of_it_has_its_condition() -> None:
    assert template()["Parameters"]["BackupRetentionDays"]["Default"] == 0
    found = _backup()
    assert {name: each["Condition"] for name, each in found.items()} == {
        "BackupPlan": "HasBackup",
        "BackupSelection": "HasBackup",
        **dict.fromkeys(_ALWAYS, "IsDeployed"),
    }
    is_wanted = {"Fn::Not": [{"Fn::Equals": [{"Ref": "BackupRetentionDays"}, 0]}]}
    assert template()["Conditions"]["HasBackup"] == {"Fn::And": [{"Condition": "IsDeployed"}, is_wanted]}


def test_the_state_table_alone_is_backed_up_and_never_personal_data() -> None:
    """AWS Backup cannot delete one person's objects from a backup, so an erasure would not reach them."""
    found = _backup(*_ON)
    selection = found["BackupSelection"]["Properties"]["BackupSelection"]
    assert selection["Resources"] == [{"Fn::GetAtt": ["StateTable", "Arn"]}]
    assert "ListOfTags" not in selection
    assert not re.search(r"PersonalData(Bucket|Key)", json.dumps(found))
    places = {json.dumps(each["Resource"]) for each in _statements(found)}
    assert all("StateTable" in each or "StateKey" in each for each in places)
    assert not any("*" in action for each in _statements(found) for action in _actions(each))


def test_backups_are_kept_encrypted_and_deleted_after_their_days() -> None:
    found = _backup(*_ON)
    [rule] = found["BackupPlan"]["Properties"]["BackupPlan"]["BackupPlanRule"]
    assert rule["Lifecycle"] == {"DeleteAfterDays": {"Ref": "BackupRetentionDays"}}
    vault = found["BackupVault"]
    assert vault["Properties"]["EncryptionKeyArn"] == {"Fn::GetAtt": ["StateKey", "Arn"]}


def test_backups_can_be_switched_off_and_on_again_and_what_has_expired_is_deleted_meanwhile() -> None:
    """The vault has a fixed name, so it must never leave the stack; AWS Backup deletes with the role of the backup."""
    for deployed in (transformed(), transformed(*_ON)):
        for each in _ALWAYS:
            assert deployed["Conditions"]["IsDeployed"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "Stage"}, "local"]}]}
            assert deployed["Resources"][each]["Condition"] == "IsDeployed"
            # A vault that is not empty cannot be deleted.
            for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
                assert deployed["Resources"][each][policy] == deployed["Resources"]["StateTable"][policy]


def _statements(found: dict[str, Any]) -> list[dict[str, Any]]:
    [policy] = found["BackupRole"]["Properties"]["Policies"]
    statements: list[dict[str, Any]] = policy["PolicyDocument"]["Statement"]
    return statements


def _actions(statement: dict[str, Any]) -> list[str]:
    action = statement["Action"]
    return [action] if isinstance(action, str) else action
