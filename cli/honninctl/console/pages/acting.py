"""The pages that act: what would happen, the confirmation, and what became of it.

A GET shows the plan with a token. The POST that brings the token back plans once more, and acts only if the plan is the
same; before it acts, it writes the access record. It answers with another address, so that loading the page again
sends nothing again.
"""

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from honninctl import access
from honninctl.access import LONGEST_REASON, Source
from honninctl.console import acts, details
from honninctl.console.acts import Given, Outcome, Plan, Reason
from honninctl.console.page import NO_PAGE, Desk, Page, View, asking
from honninctl.console.rights import Act, policies
from honninctl.console.wording import Wording
from honninctl.recorded import options

_ABOUT_A_USER = (Act.REREAD, Act.EXPORT, Act.ERASE)


def offers(view: View, *wanted: tuple[Act, Mapping[str, str]]) -> list[dict[str, Any]]:
    """What a page offers to do: for each act a button, or who may. Nothing in a console that only reads."""
    desk = view.desk
    if desk is None:
        return []
    return [
        {
            "act": act,
            "label": _label(act, fields),
            "address": view.link("act", act, **fields) if desk.rights.may(act) else None,
            "policies": policies(act),
        }
        for act, fields in wanted
    ]


def offers_for_user(view: View, user_id: str, *, is_known: bool) -> list[dict[str, Any]]:
    """What may be done with a user. `is_known`: a provider has a status of the user; else there is only the erasure."""
    user = {"id": user_id}
    reveals = [(Act.EXPORT, {**user, "reveal": "1"})] if view.desk and view.desk.may_reveal else []
    rereads = [(Act.REREAD, user)] if is_known else []
    return offers(view, *rereads, (Act.EXPORT, user), *reveals, (Act.ERASE, user))


def page(view: View, name: str) -> Page:
    """The page of an act, or what its form leads to."""
    desk = view.desk
    if desk is None or name not in set(Act):
        return view.trouble(NO_PAGE)
    act, form, user_id = Act(name), view.asked.form, view.asked.fields.get("id", "").strip()
    token = (form or {}).get("token", "")
    if form is not None and desk.confirmations.outcome(token):
        # Sent twice: it is not done a second time, even if it is not known whether it was done.
        return _to_outcome(view, token, again=True)
    planned = asking(lambda: acts.plan(view.deployment, act, view.asked.fields, may_reveal=desk.may_reveal))
    if planned.value is None:
        trouble = planned.trouble or NO_PAGE
        # Only the address can ask for what there is not; the pages do not offer it.
        is_ours = trouble.status is HTTPStatus.BAD_REQUEST
        return view.trouble(replace(trouble, text="trouble.no_act", detail="") if is_ours else trouble, user_id=user_id)
    if form is None:
        return _confirmation(view, desk, planned.value)
    remark = _remark(view, desk, planned.value, form)
    return _confirmation(view, desk, planned.value, remark) if remark else _done(view, desk, planned.value, form)


def outcome_page(view: View) -> Page:
    """What became of an act."""
    token = view.asked.fields.get("token", "")
    outcome = view.desk.confirmations.outcome(token) if view.desk else None
    if view.desk is None or outcome is None:
        return view.paint("outcome.html", HTTPStatus.NOT_FOUND, outcome=None, back=view.link(""))
    found, act, target = outcome
    return view.paint(
        "outcome.html",
        outcome=found,
        again=bool(view.asked.fields.get("again")),
        names=_names(view.wording, act, found.counts),
        back=_back(view, act, target),
    )


def _confirmation(view: View, desk: Desk, planned: Plan, remark: str = "") -> Page:
    act, target, form = planned.act, planned.target, view.asked.form or {}
    token = desk.confirmations.issue(act, target, planned.fingerprint(view.deployment))
    return view.paint(
        "act.html",
        HTTPStatus.CONFLICT if remark else HTTPStatus.OK,
        act=act,
        label=_label(act, target),
        plan=planned,
        names=_names(view.wording, act, planned.counts),
        token=token,
        remark=remark,
        reason=form.get("reason", ""),
        ticket=form.get("ticket", ""),
        takes_ticket=act is Act.ERASE,
        longest=LONGEST_REASON,
        switch=_switched(planned) if act is Act.ERASE else None,
        who=asking(lambda: view.deployment.caller).value,
        back=_back(view, act, target),
    )


def _remark(view: View, desk: Desk, planned: Plan, form: Mapping[str, str]) -> str:
    """Why a form is not acted on: the name of the text; nothing if it is."""
    found = desk.confirmations.of(form.get("token", ""), planned.act, planned.target)
    if found is None or found.fingerprint != planned.fingerprint(view.deployment) or planned.is_empty:
        return "confirm.changed"
    if not desk.confirmations.is_fresh(found):
        return "confirm.too_old"
    reason = _reason(form)
    if planned.reason is Reason.REQUIRED and not form.get("reason", "").strip():
        return "confirm.no_reason"
    if len(reason) > LONGEST_REASON:
        return "confirm.too_long"
    return "confirm.not_typed" if planned.typed and form.get("typed", "").strip() != planned.typed else ""


def _done(view: View, desk: Desk, planned: Plan, form: Mapping[str, str]) -> Page:
    reason, ticket = (" ".join(form.get(each, "").split()) or None for each in ("reason", "ticket"))
    action, user_id = planned.record

    def act() -> Outcome:
        access.record(
            view.deployment,
            action,
            user_id,
            _reason(form) or None,
            what=f"act/{planned.act}",
            options=options({name: value for name, value in planned.target.items() if name != "id"}),
            source=Source.CONSOLE,
        )
        return acts.do(view.deployment, planned, Given(reason, ticket))

    done = asking(act)
    if done.value is None:
        # It was certainly not done, so the same form may be sent again.
        desk.rights.forget()
        return view.trouble(done.trouble or NO_PAGE, user_id=user_id or "")
    file, token = done.value.download, form["token"]
    # What is kept for the result page has nothing personal in it; a file goes to the caller alone.
    kept = replace(done.value, download=None)
    desk.confirmations.settle(token, (kept, planned.act, planned.target))
    if file is None:
        return _to_outcome(view, token)
    headers = {"Content-Disposition": f'attachment; filename="{file.name}"'}
    return Page(HTTPStatus.OK, file.body, file.content_type, headers=headers)


def _to_outcome(view: View, token: str, *, again: bool = False) -> Page:
    return Page(HTTPStatus.SEE_OTHER, location=view.link("done", token=token, again="1" if again else None))


def _reason(form: Mapping[str, str]) -> str:
    """The reason as the access record has it, on one line, with the ticket."""
    reason, ticket = (" ".join(form.get(each, "").split()) for each in ("reason", "ticket"))
    return f"{reason} ({ticket})" if ticket and reason else reason or ticket


def _switched(planned: Plan) -> dict[str, str]:
    """The fields of the same act with the other choice."""
    user = {"id": planned.target["id"]}
    return user if planned.target.get("unlink") else {**user, "unlink": "1"}


def _label(act: Act, fields: Mapping[str, str]) -> str:
    if act is Act.EXPORT and fields.get("reveal"):
        return "export_reveal"
    return "erase-unlink" if act is Act.ERASE and fields.get("unlink") else str(act)


def _back(view: View, act: Act, target: Mapping[str, str]) -> str:
    return view.link("user", id=target["id"]) if act in _ABOUT_A_USER else view.link("dead-letters")


def _names(t: Wording, act: Act, counts: Mapping[str, int]) -> dict[str, str]:
    """The kinds of a table in words."""
    if act is Act.DISCARD:
        return {each: t.first(f"run.{each}", otherwise=t("hooks.foreign")) for each in counts}
    return {each: details.error_name(t, each) for each in counts}
