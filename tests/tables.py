"""The tables of template.yaml, made on moto: keys and indexes have no second copy in the tests."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TEMPLATE = Path(__file__).resolve().parent.parent / "template.yaml"

# What decides how a table answers. Encryption, backups and TTL are settings that the template tests look at.
_SCHEMA = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")


@cache
def template() -> dict[str, Any]:
    """template.yaml with its short forms (`!Ref`) spelled out. Treat it as read-only."""
    parsed: dict[str, Any] = yaml_parse(TEMPLATE.read_text())
    return parsed


def create_table(client: "DynamoDBClient", logical_id: str) -> str:
    """Make the table of that logical id and return its name, which is the logical id."""
    resource = template()["Resources"][logical_id]
    if resource["Type"] != "AWS::DynamoDB::Table":
        raise ValueError(f"{logical_id} is no table")
    properties = resource["Properties"]
    schema = {name: properties[name] for name in _SCHEMA if name in properties}
    client.create_table(TableName=logical_id, **schema)
    return logical_id
