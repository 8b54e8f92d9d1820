"""`trigger kyc`, `risk`, `account-status`, `vexora-result` and `recon-night`: a provider of the local stack, played."""

from datetime import date
from typing import Annotated

import typer

from honninctl import trigger
from honninctl.command import Cli, command, group
from honninctl.failures import ExitCode, UsageError
from honninctl.language import _
from honninctl.trigger import LATE_S, AccountStatus, Delivery, Outcome, RiskFlag

UserArgument = Annotated[str, typer.Argument(metavar="USER", help="Your own id of the user.")]
LostOption = Annotated[bool, typer.Option("--lost", help="The webhook is never sent.")]
TwiceOption = Annotated[bool, typer.Option("--twice", help="The webhook is sent twice.")]
LateOption = Annotated[bool, typer.Option("--late", help=f"The webhook is sent {LATE_S} seconds later.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    made = group(
        app,
        "trigger",
        "Do in the sandbox of `make run` what a user, a reviewer or PayPay does, and see what Honnin makes of it.\n\n"
        "Works on the local stack only: no provider is ever called. The same buttons are on the sandbox's page.",
    )
    command(made, "kyc", example="honninctl trigger kyc mika --twice")(kyc)
    command(made, "risk", example="honninctl trigger risk mika --lost")(risk)
    command(made, "account-status", example="honninctl trigger account-status mika --status canceled")(account_status)
    command(made, "vexora-result", example="honninctl trigger vexora-result user-100 --outcome reject")(vexora_result)
    command(made, "recon-night", example="honninctl trigger recon-night mika")(recon_night)


def kyc(
    cli: Cli,
    user: UserArgument,
    completed: Annotated[
        bool | None, typer.Option("--completed/--not-completed", help="Also whether the user's KYC is completed.")
    ] = None,
    lost: LostOption = False,
    twice: TwiceOption = False,
    late: LateOption = False,
) -> None:
    """The KYC of a user is updated at PayPay.

    JSON: {"trigger", "user", "delivery", "next", "look"}. Exit code 3 when the user has linked no account.
    """
    delivery = trigger.sandbox(cli.deployment, "paypay").kyc(user, _delivery(lost, twice, late), completed=completed)
    _show(
        cli, "kyc", user, delivery, _("PayPay has updated the KYC of {user}.").format(user=user), _next(user, delivery)
    )


def risk(
    cli: Cli,
    user: UserArgument,
    flag: Annotated[RiskFlag, typer.Option("--flag", help="Which flag.")] = RiskFlag.UNACCEPTABLE_OP,
    clear: Annotated[bool, typer.Option("--clear", help="Clear the flag instead.")] = False,
    lost: LostOption = False,
    twice: TwiceOption = False,
    late: LateOption = False,
) -> None:
    """PayPay flags a user as a risk, or clears the flag.

    JSON: {"trigger", "user", "delivery", "next", "look"}. Exit code 3 when the user has linked no account.
    """
    wanted = _delivery(lost, twice, late)
    delivery = trigger.sandbox(cli.deployment, "paypay").risk(user, wanted, None if clear else flag)
    done = (
        _("PayPay has cleared the risk flag of {user}.").format(user=user)
        if clear
        else _("PayPay has flagged {user}: {flag}.").format(user=user, flag=flag)
    )
    # A recon file lists who became flagged, not who no longer is.
    _show(cli, "risk", user, delivery, done, _next(user, delivery, in_files=not clear))


def account_status(
    cli: Cli,
    user: UserArgument,
    status: Annotated[
        AccountStatus, typer.Option("--status", help="Of the account; unlinked: the user ends the link in the app.")
    ] = AccountStatus.CANCELED,
    lost: LostOption = False,
    twice: TwiceOption = False,
    late: LateOption = False,
) -> None:
    """The account of a user at PayPay is suspended, closed or active again, or the user ends the link.

    JSON: {"trigger", "user", "delivery", "next", "look"}. Exit code 3 when the user has linked no account.
    """
    delivery = trigger.sandbox(cli.deployment, "paypay").account(user, _delivery(lost, twice, late), status)
    unlinked = status is AccountStatus.UNLINKED
    done = (
        _("{user} has ended the link in the PayPay app.").format(user=user)
        if unlinked
        else _("PayPay's account of {user}: {status}.").format(user=user, status=status)
    )
    _show(cli, "account-status", user, delivery, done, _next(user, delivery, in_files=not unlinked))


def vexora_result(
    cli: Cli,
    user: UserArgument,
    outcome: Annotated[
        Outcome, typer.Option("--outcome", help="again: nothing is decided, the last callback is sent once more.")
    ] = Outcome.APPROVE,
    lost: LostOption = False,
    twice: TwiceOption = False,
    late: LateOption = False,
) -> None:
    """A reviewer of Vexora decides the application of a user.

    The sandbox approves by itself after 2 seconds, unless its page says that applications wait.
    JSON: {"trigger", "user", "delivery", "next", "look"}. Exit code 1 when it is decided already, 3 when the user has
    not applied.
    """
    delivery = trigger.sandbox(cli.deployment, "vexora").review(user, _delivery(lost, twice, late), outcome)
    done = {
        Outcome.APPROVE: _("Vexora has approved {user}.").format(user=user),
        Outcome.REJECT: _("Vexora has rejected {user}.").format(user=user),
        Outcome.AGAIN: _("Vexora's callback about {user} is sent once more.").format(user=user),
    }[outcome]
    _show(cli, "vexora-result", user, delivery, done, _next_of_vexora(user, delivery))


def recon_night(
    cli: Cli,
    user: Annotated[
        str | None, typer.Argument(metavar="[USER]", help="A user of whom to say whether the files name this user.")
    ] = None,
    day: Annotated[
        str, typer.Option("--day", metavar="DAY", help="A day in Japan: today, or written as 2026-11-20.")
    ] = "today",
    lost: LostOption = False,
    twice: TwiceOption = False,
    late: LateOption = False,
) -> ExitCode:
    """PayPay makes the three recon files of a day, of all changes until now, and notifies Honnin of them.

    JSON: {"trigger", "user", "delivery", "day", "files", "named", "next", "look"}. Exit code 1 when no file names the
    user, 3 when the user has linked no account.
    """
    wanted, named = _delivery(lost, twice, late), _day(day)
    box = trigger.sandbox(cli.deployment, "paypay")
    files = box.night(wanted, named)
    of_day = str(files[0]["day"])
    kinds = None if user is None else box.changed_on(user, of_day)
    delivery = Delivery.LOST if any(each["notification"] in (None, "dropped") for each in files) else wanted
    lines = [_("PayPay has made the recon files of {of_day}:").format(of_day=of_day)]
    lines += [
        _("  {fileType:<38}{rows:>8} rows").format(fileType=each["fileType"], rows=each["rows"]) for each in files
    ]
    if kinds:
        lines.append(_("They name {user}: {kinds}.").format(user=user, kinds=", ".join(kinds)))
    elif kinds is not None:
        lines.append(
            _("They do not name {user}: nothing that such a file lists has changed on that day.").format(user=user)
        )
    look = f"honninctl recon {of_day}"
    following = _next_of_night(delivery, of_day)
    if cli.screen.as_json:
        facts = {"day": of_day, "files": files, "named": kinds, "next": following, "look": look}
        cli.screen.json({"trigger": "recon-night", "user": user, "delivery": delivery, **facts})
    else:
        for line in (
            *lines,
            _said(delivery),
            _("Next: {following}").format(following=following),
            _("Look: {look}").format(look=look),
        ):
            cli.screen.line(line)
    return ExitCode.FINDING if kinds == [] else ExitCode.OK


def _delivery(lost: bool, twice: bool, late: bool) -> Delivery:
    found = [each for each, given in ((Delivery.LOST, lost), (Delivery.TWICE, twice), (Delivery.LATE, late)) if given]
    if len(found) > 1:
        raise UsageError(_("give one of --lost, --twice and --late"))
    return found[0] if found else Delivery.SENT


def _day(word: str) -> str:
    if word == "today":
        return word
    try:
        return date.fromisoformat(word).isoformat()
    except ValueError:
        raise UsageError(_("{word!r} is not a day: write it as 2026-11-20, or today").format(word=word)) from None


def _said(delivery: Delivery) -> str:
    return {
        Delivery.SENT: _("The webhook is sent."),
        Delivery.LOST: _("The webhook is lost."),
        Delivery.TWICE: _("The webhook is sent twice."),
        Delivery.LATE: _("The webhook is sent in {LATE_S} seconds.").format(LATE_S=LATE_S),
    }[delivery]


def _next(user: str, delivery: Delivery, *, in_files: bool = True) -> str:
    if delivery is Delivery.LOST:
        if in_files:
            return _("Honnin learns of it from the day's recon file: honninctl trigger recon-night {user}").format(
                user=user
            )
        return _("no recon file lists this; Honnin learns of it when it asks again: honninctl reread {user}").format(
            user=user
        )
    return _read(delivery, "PayPay")


def _next_of_vexora(user: str, delivery: Delivery) -> str:
    if delivery is Delivery.LOST:
        return _("Honnin learns of it when its poll asks Vexora; at once with honninctl reread {user}").format(
            user=user
        )
    return _read(delivery, "Vexora")


def _read(delivery: Delivery, provider: str) -> str:
    return {
        Delivery.SENT: _("Honnin asks {provider}, within seconds").format(provider=provider),
        Delivery.TWICE: _("Honnin asks {provider}, within seconds; the second webhook changes nothing more").format(
            provider=provider
        ),
        Delivery.LATE: _("Honnin knows nothing of it until then, and asks {provider} within seconds after it").format(
            provider=provider
        ),
    }[delivery]


def _next_of_night(delivery: Delivery, day: str) -> str:
    if delivery is Delivery.LOST:
        return _(
            "Honnin knows nothing of these files until they are made again: honninctl trigger recon-night --day {day}"
        ).format(day=day)
    return _("Honnin downloads the files (here within a minute), compares them, and asks PayPay about whom they name")


def _show(cli: Cli, name: str, user: str, delivery: Delivery, done: str, following: str) -> None:
    look = f"honninctl timeline {user}"
    if cli.screen.as_json:
        cli.screen.json({"trigger": name, "user": user, "delivery": delivery, "next": following, "look": look})
        return
    for line in (
        _("{done} {webhook}").format(done=done, webhook=_said(delivery)),
        _("Next: {following}").format(following=following),
        _("Look: {look}").format(look=look),
    ):
        cli.screen.line(line)
