"""From which addresses the functions call the providers, found out from the VPC and not from a third party."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from honninctl.deployment import Deployment

# One of the functions that call PayPay; all outbound functions share one VPC configuration.
_OUTBOUND_FUNCTION = "PayPayKycFunction"
_EVERYWHERE = "0.0.0.0/0"


@dataclass(frozen=True)
class Egress:
    """The functions' way out. `in_vpc` False: no fixed address at all. `unclear` names subnets without one."""

    in_vpc: bool
    addresses: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()


def find(deployment: Deployment) -> Egress:
    """The public addresses of the NAT gateways behind the subnets of the outbound functions."""
    name = deployment.resource(_OUTBOUND_FUNCTION)
    configuration = deployment.client("lambda").get_function_configuration(FunctionName=name)
    vpc = configuration.get("VpcConfig") or {}
    subnets = vpc.get("SubnetIds") or []
    if not subnets:
        return Egress(in_vpc=False)
    ec2 = deployment.client("ec2")
    gateways = {subnet: _nat_gateway(ec2, subnet, vpc["VpcId"]) for subnet in subnets}
    addresses = _addresses(ec2, sorted({each for each in gateways.values() if each}))
    return Egress(
        in_vpc=True,
        addresses=tuple(sorted({address for each in addresses.values() for address in each})),
        unclear=tuple(sorted(subnet for subnet, gateway in gateways.items() if not addresses.get(gateway or ""))),
    )


def _nat_gateway(ec2: Any, subnet: str, vpc: str) -> str | None:
    """The NAT gateway of the subnet's default route: of its own route table, else of the VPC's main one."""
    tables = _route_tables(ec2, "association.subnet-id", [subnet])
    if not tables:
        tables = [each for each in _route_tables(ec2, "vpc-id", [vpc]) if _is_main(each)]
    for table in tables:
        for route in table.get("Routes", []):
            if route.get("DestinationCidrBlock") == _EVERYWHERE and route.get("NatGatewayId"):
                return str(route["NatGatewayId"])
    return None


def _route_tables(ec2: Any, name: str, values: Sequence[str]) -> list[Mapping[str, Any]]:
    answer = ec2.describe_route_tables(Filters=[{"Name": name, "Values": list(values)}])
    return list(answer["RouteTables"])


def _is_main(table: Mapping[str, Any]) -> bool:
    return any(each.get("Main") for each in table.get("Associations", []))


def _addresses(ec2: Any, gateways: Sequence[str]) -> dict[str, list[str]]:
    if not gateways:
        return {}
    answer = ec2.describe_nat_gateways(NatGatewayIds=list(gateways))
    return {
        each["NatGatewayId"]: [
            address["PublicIp"] for address in each.get("NatGatewayAddresses", []) if address.get("PublicIp")
        ]
        for each in answer["NatGateways"]
    }
