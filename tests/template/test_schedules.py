"""When the scheduled functions run: end-to-end tests have a schedule fire when they ask, so its time is held here."""

from tests.tables import template
from tests.template.transformed import resources

_WHEN = {
    "VexoraStatusPollFunctionEvery10Minutes": "rate(10 minutes)",
    "ExpiryWatchFunctionEveryHour": "rate(1 hour)",
    "RetentionFunctionEveryHour": "rate(1 hour)",
    "ReconDownloadFunctionEvery5Minutes": "rate(5 minutes)",
    "ReconDeadlineFunctionAtQuarterPastTen": "cron(15 10 * * ? *)",
    "MerchantWebhookFunctionEveryMinute": "rate(1 minute)",
}


def test_in_an_account_each_schedule_runs_at_its_time_in_japan() -> None:
    schedules = {name: each["Properties"] for name, each in resources("AWS::Scheduler::Schedule").items()}
    assert {name: each["ScheduleExpression"] for name, each in schedules.items()} == _WHEN
    assert {each["ScheduleExpressionTimezone"] for each in schedules.values()} == {"Asia/Tokyo"}
    assert {each["FlexibleTimeWindow"]["Mode"] for each in schedules.values()} == {"OFF"}


def test_each_schedule_is_on_and_calls_the_function_that_it_stands_at() -> None:
    for name, schedule in resources("AWS::Scheduler::Schedule").items():
        assert schedule["Properties"].get("State", "ENABLED") == "ENABLED"
        function, _ = schedule["Properties"]["Target"]["Arn"]["Fn::GetAtt"]
        assert name.startswith(function)


def test_locally_the_download_runs_every_minute_and_nothing_else_differs() -> None:
    found = {
        f"{name}{event}": each["Properties"]["ScheduleExpression"]["Fn::If"]
        for name, function in template()["Resources"].items()
        if function["Type"] == "AWS::Serverless::Function"
        for event, each in function["Properties"].get("Events", {}).items()
        if each["Type"] == "ScheduleV2" and isinstance(each["Properties"]["ScheduleExpression"], dict)
    }
    assert found == {"ReconDownloadFunctionEvery5Minutes": ["IsLocal", "rate(1 minute)", "rate(5 minutes)"]}
