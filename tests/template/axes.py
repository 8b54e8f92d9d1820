"""Values of the parameters that change what is deployed, by subject."""

from tests.template.deployed import Parameters

CERTIFICATE = "arn:aws:acm:ap-northeast-1:123456789012:certificate/0a1b2c3d-0000-4000-8000-0123456789ab"
_WEB_ACL = "arn:aws:wafv2:ap-northeast-1:123456789012:regional/webacl"
AXES: dict[str, dict[str, Parameters]] = {
    "stage": {
        "local": (("Stage", "local"),),
        "dev": (("Stage", "dev"),),
        "prod": (
            ("Stage", "prod"),
            ("AlarmEmail", "kyc@example.jp"),
            ("PayPaySilenceHours", "24"),
            ("ManageApiGatewayLogging", "false"),
        ),
    },
    "canary": {
        each: (("Canary", each),) for each in ("AllAtOnce", "Canary10Percent10Minutes", "Linear10PercentEvery1Minute")
    },
    "vpc": {
        "no VPC": (),
        "VPC": (("VpcSubnetIds", "subnet-0a0a0a0a,subnet-0b0b0b0b"), ("VpcSecurityGroupIds", "sg-0a0a0a0a")),
    },
    "boundary": {
        "no boundary": (),
        "boundary": (("PermissionsBoundary", "arn:aws:iam::123456789012:policy/boundary"),),
    },
    "warm": {"cold": (), "warm": (("WebhookProvisionedConcurrency", "1"),)},
    "reserved": {"shared": (), "reserved": (("WebhookReservedConcurrency", "20"),)},
    "tracing": {"untraced": (), "traced": (("Tracing", "Active"),)},
    "architecture": {each: (("Architecture", each),) for each in ("arm64", "x86_64")},
    "domain": {
        "no domain": (),
        "two names": (
            ("WebhookDomainName", "hooks.shop.example.jp"),
            ("MerchantDomainName", "kyc.internal.example.jp"),
            ("MerchantBasePath", "honnin"),
            ("DomainCertificateArn", CERTIFICATE),
            ("DomainHostedZoneId", "Z0123456789ABCDEFGHIJ"),
        ),
        "one name": (
            ("WebhookDomainName", "kyc.shop.example.jp"),
            ("WebhookBasePath", "hooks"),
            ("MerchantDomainName", "kyc.shop.example.jp"),
            ("MerchantBasePath", "api"),
            ("DomainCertificateArn", CERTIFICATE),
            ("DomainInUrls", "false"),
        ),
    },
    "chat": {
        "no chat": (),
        "chat": (
            ("SlackWorkspaceId", "T0123ABCD"),
            ("SlackChannelId", "C0123ABCD"),
            ("TeamsTeamId", "0a1b2c3d-0000-4000-8000-0123456789ab"),
            ("TeamsTenantId", "0a1b2c3d-0000-4000-8000-0123456789ac"),
            ("TeamsChannelId", "19%3Aab12cd34%40thread.tacv2"),
        ),
    },
    "firewall": {
        "open": (),
        "firewall": (
            ("WebhookWebAclArn", f"{_WEB_ACL}/hooks/0a1b2c3d"),
            ("MerchantWebAclArn", f"{_WEB_ACL}/api/0a1b2c3e"),
        ),
    },
    "merchant webhooks": {
        "none": (),
        "some": (
            ("MerchantWebhookUrl", "https://shop.example.jp/hooks"),
            ("EventBusReaderAccounts", "111122223333,444455556666"),
        ),
    },
}
