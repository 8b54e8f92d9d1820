"""The recon scene of the demo: that night's files find the webhook that was lost before."""

from typing import Any

from local.demo import Scene, ok, status, timeline, wait_for
from local.stack import Stack

# Meanwhile three files are made, fetched, compared and repaired; on a busy machine that takes its time.
_NIGHT_S = 180.0


def play_night(stack: Stack) -> str:
    """Let PayPay make today's three files, as it would tonight, and send their notifications; their JST day."""
    files = stack.sandbox("POST", "/paypay/recon-night", json={"day": "today"})["files"]
    return str(files[0]["day"])


def report(stack: Stack, day: str) -> list[dict[str, Any]]:
    """The recon files of a JST day by `GET /recon/reports/{date}`; none while nothing is known of that day."""
    answer = stack.merchant.request("GET", f"/recon/reports/{day}")
    if answer.status_code == 404:
        return []
    files: list[dict[str, Any]] = ok(answer, "GET /recon/reports/{date}")["files"]
    return files


def is_settled(files: list[dict[str, Any]]) -> bool:
    """Whether all three files are compared, and nobody waits any more who is read again because of them."""
    kinds = {file["fileType"] for file in files if file["state"] == "COMPARED" and file["completedAt"]}
    return len(kinds) == 3


def reports(stack: Stack) -> list[dict[str, Any]]:
    """The report of the day whose files came last."""
    files = stack.sandbox("GET", "/paypay/recon-files")["files"]
    return report(stack, str(files[-1]["day"])) if files else []


def _found_by_recon(stack: Stack, user_id: str, _name: str) -> tuple[str, str]:
    before = status(stack, user_id, "paypay")
    day = play_night(stack)

    def repaired() -> bool:
        # The schedule would do this within a minute here, and within five on AWS.
        stack.invoke("ReconDownloadFunction")
        return is_settled(report(stack, day)) and status(stack, user_id, "paypay") != before

    wait_for(repaired, _NIGHT_S)
    changed = [each for file in report(stack, day) for each in file["changed"] if each["userId"] == user_id]
    causes = [entry.cause for entry in timeline(stack, user_id) if entry.moved_to == "RISK_FLAGGED"]
    got = f"{before}, then {status(stack, user_id, 'paypay')} by {'/'.join(causes)}, {len(changed)} x in the report"
    return "VERIFIED, then RISK_FLAGGED by recon, 1 x in the report", got


RECON_SCENES = (Scene("sora", "PayPay", "that night's recon file finds the lost webhook", _found_by_recon),)
