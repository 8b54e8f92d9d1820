"""Messages to people through the alarm topic: the whole text as a mail, its beginning in a chat channel.

Amazon Q Developer in chat applications (AWS Chatbot before) shows alarms of CloudWatch and its own form of a
notification, and drops every other message without an error (AWS, "Custom notifications"; docs/deploying.md#chat). It
subscribes over https. So subscribers over https get that form, and all others get the text.
"""

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

# A block of text in Slack has 3,000 characters at most.
MOST_CHARACTERS = 2_500
_SHORTENED = "… （全文はメールにあります / the mail has the whole text）"


def send(client: "SNSClient", topic_arn: str, subject: str, text: str) -> None:
    """Publish one message. `subject` is ASCII, of fewer than 100 characters. Errors are botocore's.

    `text` may have 120 KiB in UTF-8: SNS takes 256 KiB, and JSON may write two bytes for one.
    """
    forms = {"default": text, "https": json.dumps(_notification(subject, text), ensure_ascii=False)}
    client.publish(
        TopicArn=topic_arn,
        Subject=subject,
        MessageStructure="json",
        Message=json.dumps(forms, ensure_ascii=False),
    )


def _notification(subject: str, text: str) -> dict[str, object]:
    # As code, so that file names with underscores stay as they are. `<` begins a mention in Slack, even of everybody.
    shown = text.translate({ord("<"): "‹", ord(">"): "›", ord("`"): "'"}).strip()
    if len(shown) > MOST_CHARACTERS:
        begin = shown[:MOST_CHARACTERS]
        shown = f"{begin.rpartition('\n')[0] or begin}\n{_SHORTENED}"
    content = {"textType": "client-markdown", "title": subject, "description": f"```\n{shown}\n```"}
    return {"version": "1.0", "source": "custom", "content": content}
