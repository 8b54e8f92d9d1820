"""Domains of one's own, the firewall and the throttle: what is made, and which URLs are shown and handed out."""

import re

import pytest

from tests.tables import template
from tests.template.axes import AXES, CERTIFICATE
from tests.template.deployed import Parameters, RefusedError, deployed, graph, of_type, values
from tests.template.transformed import resources

GATEWAY = "https://{api}.execute-api.${{AWS::Region}}.${{AWS::URLSuffix}}/v1"
TWO, ONE = AXES["domain"]["two names"], AXES["domain"]["one name"]
AT_ONCE = tuple(each for each in ONE if each[0] != "DomainInUrls")


def output(parameters: Parameters, name: str) -> str:
    value = deployed(parameters)["Outputs"][name]["Value"]
    return str(value["Fn::Sub"] if isinstance(value, dict) else value)


def handed_out(parameters: Parameters) -> str:
    """The base URL that the functions of the merchant API hand out."""
    [value] = [
        each["Variables"]["webhookApiUrl"]
        for each in of_type(parameters, "AWS::ApiGateway::Stage").values()
        if "Variables" in each
    ]
    return str(value["Fn::Sub"] if isinstance(value, dict) else value)


LOCAL = (("Stage", "local"), ("LocalEndpoint", "http://127.0.0.1:4566"))
LOCALLY = "http://127.0.0.1:4566/restapis/{api}/v1/_user_request_"


@pytest.mark.parametrize(
    ("parameters", "merchant", "webhooks"),
    [
        ((), GATEWAY.format(api="${MerchantApi}"), GATEWAY.format(api="${WebhookApi}")),
        (TWO, "https://kyc.internal.example.jp/honnin", "https://hooks.shop.example.jp"),
        (ONE, GATEWAY.format(api="${MerchantApi}"), GATEWAY.format(api="${WebhookApi}")),  # DomainInUrls=false
        (AT_ONCE, "https://kyc.shop.example.jp/api", "https://kyc.shop.example.jp/hooks"),
        (
            (("WebhookDomainName", "hooks.example.jp"), ("DomainCertificateArn", CERTIFICATE)),
            GATEWAY.format(api="${MerchantApi}"),
            "https://hooks.example.jp",
        ),
        (
            (("MerchantDomainName", "kyc.example.jp"), ("DomainCertificateArn", CERTIFICATE)),
            "https://kyc.example.jp",
            GATEWAY.format(api="${WebhookApi}"),
        ),
        # Nobody resolves the names of a local stack.
        ((*LOCAL, *TWO), LOCALLY.format(api="${MerchantApi}"), LOCALLY.format(api="${WebhookApi}")),
    ],
)
def test_every_url_that_is_shown_or_handed_out(parameters: Parameters, merchant: str, webhooks: str) -> None:
    assert output(parameters, "MerchantApiUrl") == merchant
    assert output(parameters, "WebhookApiUrl") == handed_out(parameters) == webhooks
    assert {name: output(parameters, name) for name in template()["Outputs"] if name.endswith("WebhookUrl")} == {
        "VexoraResultWebhookUrl": webhooks + "/webhooks/vexora/kyc-result/{submissionId}/{token}",
        "PayPayKycWebhookUrl": webhooks + "/webhooks/paypay/kyc",
        "PayPayRiskWebhookUrl": webhooks + "/webhooks/paypay/risk",
        "PayPayAccountStatusWebhookUrl": webhooks + "/webhooks/paypay/account-status",
        "PayPayReconWebhookUrl": webhooks + "/webhooks/paypay/recon",
    }


def test_without_the_parameters_nothing_is_made() -> None:
    kinds = {each["Type"] for each in deployed(())["Resources"].values()}
    assert not [each for each in kinds if each.endswith(("::DomainName", "::BasePathMapping", "::RecordSet"))]
    assert not [each for each in kinds if each.startswith(("AWS::WAFv2", "AWS::Chatbot"))]
    assert {"WebhookDomainTarget", "MerchantDomainTarget"}.isdisjoint(deployed(())["Outputs"])


def test_a_domain_is_regional_with_tls_1_2_and_ipv4_alone() -> None:
    found = of_type(TWO, "AWS::ApiGateway::DomainName")
    assert {each["DomainName"] for each in found.values()} == {"hooks.shop.example.jp", "kyc.internal.example.jp"}
    for each in found.values():
        # Without IpAddressType it has no IPv6 address; a caller's would be in none of the CIDR parameters.
        assert each["EndpointConfiguration"] == {"Types": ["REGIONAL"]}
        assert (each["SecurityPolicy"], each["RegionalCertificateArn"]) == ("TLS_1_2", CERTIFICATE)
    records = of_type(TWO, "AWS::Route53::RecordSet")
    assert {(each["Name"], each["Type"]) for each in records.values()} == {
        ("hooks.shop.example.jp", "A"),
        ("kyc.internal.example.jp", "A"),
    }
    for name, each in records.items():
        domain = name.replace("Record", "Domain")
        assert each["AliasTarget"] == {
            "DNSName": {"Fn::GetAtt": [domain, "RegionalDomainName"]},
            "HostedZoneId": {"Fn::GetAtt": [domain, "RegionalHostedZoneId"]},
        }


def test_the_two_domains_are_made_one_after_the_other() -> None:
    """AWS takes one CreateDomainName in 30 seconds."""
    assert "WebhookDomain" in graph(deployed(TWO)["Resources"])["MerchantDomain"]
    alone = (("MerchantDomainName", "kyc.example.jp"), ("DomainCertificateArn", CERTIFICATE))
    assert graph(deployed(alone)["Resources"])["MerchantDomain"] == set()


def test_each_api_is_mapped_from_its_stage_to_its_base_path() -> None:
    two = of_type(TWO, "AWS::ApiGateway::BasePathMapping")
    assert two["WebhookBasePathMapping"] == {
        "DomainName": {"Ref": "WebhookDomain"},
        "RestApiId": {"Ref": "WebhookApi"},
        "Stage": {"Ref": "WebhookApiv1Stage"},
    }
    assert two["MerchantBasePathMapping"] == {
        "DomainName": {"Ref": "MerchantDomain"},
        "BasePath": "honnin",
        "RestApiId": {"Ref": "MerchantApi"},
        "Stage": {"Ref": "MerchantApiv1Stage"},
    }


def test_two_apis_share_one_domain_and_without_a_zone_an_output_names_the_records_target() -> None:
    assert len(of_type(ONE, "AWS::ApiGateway::DomainName")) == 1
    mappings = of_type(ONE, "AWS::ApiGateway::BasePathMapping")
    assert {each["DomainName"]["Ref"] for each in mappings.values()} == {"WebhookDomain"}
    assert {each["BasePath"] for each in mappings.values()} == {"hooks", "api"}
    assert not of_type(ONE, "AWS::Route53::RecordSet")
    outputs = deployed(ONE)["Outputs"]
    assert outputs["WebhookDomainTarget"]["Value"] == {"Fn::GetAtt": ["WebhookDomain", "RegionalDomainName"]}
    assert "MerchantDomainTarget" not in outputs


@pytest.mark.parametrize("api", ["Webhook", "Merchant"])
def test_a_web_acl_is_associated_with_the_stage_of_its_api_and_waits_for_it(api: str) -> None:
    arn = dict(AXES["firewall"]["firewall"])[f"{api}WebAclArn"]
    [(name, found)] = of_type(((f"{api}WebAclArn", arn),), "AWS::WAFv2::WebACLAssociation").items()
    assert (name, found["WebACLArn"]) == (f"{api}Firewall", arn)
    path = f"::/restapis/${{{api}Api}}/stages/${{{api}Apiv1Stage}}"
    assert found["ResourceArn"]["Fn::Sub"].endswith(path)


@pytest.mark.parametrize("api", ["Webhook", "Merchant"])
def test_each_api_has_a_throttle_of_its_own(api: str) -> None:
    [stage] = [
        each["Properties"]
        for each in resources("AWS::ApiGateway::Stage").values()
        if each["Properties"]["RestApiId"] == {"Ref": f"{api}Api"}
    ]
    [settings] = stage["MethodSettings"]
    assert settings == {
        "HttpMethod": "*",
        "ResourcePath": "/*",
        "ThrottlingRateLimit": {"Ref": f"{api}RateLimit"},
        "ThrottlingBurstLimit": {"Ref": f"{api}BurstLimit"},
    }


@pytest.mark.parametrize("paths", [("", ""), ("hooks", ""), ("", "api"), ("a", "a")])
def test_under_one_name_each_api_needs_a_base_path_of_its_own(paths: tuple[str, str]) -> None:
    """AWS refuses another mapping beside one without a base path: the deployment would fail in the middle."""
    names = ("WebhookDomainName", "MerchantDomainName")
    given = (*zip(("WebhookBasePath", "MerchantBasePath"), paths, strict=True), ("DomainCertificateArn", CERTIFICATE))
    with pytest.raises(RefusedError, match="a base path of its own"):
        values((*given, *((name, "kyc.example.jp") for name in names)))
    values((*given, *((name, f"{name.lower()}.example.jp") for name in names)))


@pytest.mark.parametrize("name", ["WebhookRateLimit", "WebhookBurstLimit", "MerchantRateLimit", "MerchantBurstLimit"])
def test_a_limit_is_said_to_be_of_each_route(name: str) -> None:
    """AWS applies a stage's limits to each of its methods by itself ("Throttle requests to your REST APIs")."""
    assert "each route" in template()["Parameters"][name]["Description"]


DEFAULT_REFUSED = ("UPPER.example.jp", "*.example.jp", "example", "a..jp", "-a.jp", "a.jp.", "a_b.jp", "https://a.jp")


def test_what_is_no_name_or_no_base_path_is_refused() -> None:
    declared = template()["Parameters"]
    name, path = (re.compile(declared[each]["AllowedPattern"]) for each in ("WebhookDomainName", "WebhookBasePath"))
    assert not [each for each in DEFAULT_REFUSED if name.fullmatch(each)]
    assert all(name.fullmatch(each) for each in ("", "kyc.shop.example.jp", "a.jp", "xn--wgv71a.jp", "1.example.jp"))
    assert not [each for each in ("/a", "a/", "a/b", "(none)", "a b", "%61", "..", ".a") if path.fullmatch(each)]
    assert all(path.fullmatch(each) for each in ("", "honnin", "v1", "a.b-c_d"))
