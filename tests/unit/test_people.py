"""What is sent to people: one message, a mail for whom reads mail and a notification for the chat."""

import json
from typing import Any

import pytest

from honnin import people
from honnin.recon import daily_report
from honnin.recon.report_words import JAPANESE

SNS_BYTES = 256 * 1024


class Topic:
    """SNS, which takes 256 KiB, and of a message for several protocols wants texts, one of them the default."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def publish(self, **request: str) -> None:
        """Keep what each protocol gets."""
        assert request["MessageStructure"] == "json"
        assert len(request["Message"].encode()) <= SNS_BYTES
        told = json.loads(request["Message"])
        assert all(isinstance(each, str) for each in told.values())
        assert told.keys() == {"default", "https"}
        self.sent.append(request | told)


def told(text: str) -> dict[str, Any]:
    topic: Any = Topic()
    people.send(topic, "arn:aws:sns:ap-northeast-1:123456789012:alarms", "Honnin: a subject", text)
    [sent] = topic.sent
    return dict(sent)


def chat(text: str) -> Any:
    return json.loads(told(text)["https"])


def test_a_mail_is_the_text_and_nothing_else() -> None:
    text = '■ 突合 "a_b" <x>\n  行'
    assert (told(text)["default"], told(text)["Subject"]) == (text, "Honnin: a subject")


def test_the_chat_gets_the_one_form_that_it_shows() -> None:
    notification = chat("突合ファイル\nkyc_passport_sync_recon")
    assert {"version": "1.0", "source": "custom"}.items() <= notification.items()
    assert notification["content"] == {
        "textType": "client-markdown",
        "title": "Honnin: a subject",
        "description": "```\n突合ファイル\nkyc_passport_sync_recon\n```",
    }


@pytest.mark.parametrize("text", ["<!channel> look", "<@U0123> look", "<https://evil.example|here>", "```\n<!here>"])
def test_nothing_in_a_text_calls_people_or_ends_the_code(text: str) -> None:
    description = chat(text)["content"]["description"]
    assert "<" not in description
    assert description.count("```") == 2


def test_a_long_text_is_cut_for_the_chat_at_the_end_of_a_line() -> None:
    text = "\n".join(f"行 {number} " + "あ" * 40 for number in range(500))
    assert told(text)["default"] == text
    description = chat(text)["content"]["description"]
    assert len(description) < 3_000  # a block of text in Slack
    *lines, said, _ = description.splitlines()
    assert lines[1:] == text.splitlines()[: len(lines) - 1]
    assert "メール" in said


@pytest.mark.parametrize("line", ["あ" * 60, 'a "quoted" \\ word', "x"])
def test_the_longest_report_is_one_message(line: str) -> None:
    part = daily_report._shortened("\n".join([line] * 200_000), JAPANESE)
    assert told(f"{part}\n\n{'=' * 78}\n\n{part}\n")["default"]


def test_of_one_line_without_an_end_the_chat_gets_its_beginning() -> None:
    description = chat("突" * 10_000)["content"]["description"]
    assert description.startswith("```\n突突突")
    assert len(description) < 3_000
