"""The Vexora side: its dials, its two endpoints, its reviews and callbacks, and its control endpoints."""

from collections.abc import Callable, Mapping, Sequence

from flask import Blueprint, Response, request

from sandbox import faults
from sandbox.core import CONTROL_PREFIX, ControlError, Core, control_object, without_delivery
from sandbox.delivery import LATE_S, Delivery
from sandbox.dials import Dial, DialBoard, copies, factor, fault_of, one_of, seconds, text
from sandbox.journal import request_notes
from sandbox.unkind import Dice, Document, forms, worsen
from sandbox.vexora import answers, callbacks, checks
from sandbox.vexora.answers import Failure, RefusedError, Status
from sandbox.vexora.checks import VexoraAccount
from sandbox.vexora.register import OUTCOMES, Application, Register

BASE_PATH = "/japan"
FAULT_KINDS = faults.WIRE_KINDS | {"code_8000", "refuse"}
# A delivery that whoever decides asks for, as the dial `callback` calls it.
_DIALLED = {"lost": "dropped", "twice": "duplicated", "late": "delayed"}
AGAIN = "again"
SUBMISSIONS = ("latest", "earlier")
STATUSES = tuple(status.value for status in Status)
DIALS: Mapping[str, Dial] = {
    "review": Dial("approve", one_of("approve", "reject", "none")),
    "review_delay_s": Dial(2.0, seconds),
    "callback": Dial(None, one_of(*callbacks.BODIES, "dropped", "duplicated", "delayed", "forged")),
    "callback_delay_s": Dial(None, seconds),
    "callback_count": Dial(None, copies),
    "callback_claims": Dial(None, one_of(*STATUSES)),
    "retry_scale": Dial(1.0, factor),
    "query_status": Dial(None, one_of(*STATUSES)),
    "query_about": Dial("latest", one_of(*SUBMISSIONS)),
    "query_user_id": Dial("absent", one_of(*answers.USER_IDS)),
    "apply_user_id": Dial("other", one_of(*answers.USER_IDS)),
    "reason": Dial(answers.REASON, text),
    "unkind": Dial({}, forms),
    "apply_fault": Dial(None, fault_of(FAULT_KINDS)),
    "query_fault": Dial(None, fault_of(FAULT_KINDS)),
}
__all__ = ["DIALS", "VexoraAccount", "VexoraProvider"]


class VexoraProvider:
    """The simulated Vexora for one merchant."""

    def __init__(self, core: Core, account: VexoraAccount) -> None:
        self.dials = DialBoard(DIALS, core.lock)
        self.register = Register(core.lock)
        self._core = core
        self._account = account

    def reset(self) -> None:
        """Forget all users."""
        self.register.clear()

    def blueprints(self) -> Sequence[Blueprint]:
        """Return the endpoints under `/japan` and the control endpoints under `/_sandbox/vexora`."""
        return (self._wire(), self._control())

    # --- what the merchant calls ---

    def _wire(self) -> Blueprint:
        wire = Blueprint("vexora", "sandbox", url_prefix=f"{BASE_PATH}/v1/vexora")

        @wire.post("/kycApplyFor")
        def apply() -> Response:
            # Counted and looked up for its dials before any check: a refused call was sent, too.
            user_id = request.form.get("userId") or None
            if user_id is not None:
                self.register.count_apply(user_id)
            return self._serve("apply_fault", user_id, self._apply)

        @wire.post("/kycStatusQuery")
        def query() -> Response:
            body = request.get_json(force=True, silent=True)
            named = body.get("userId") if isinstance(body, dict) else None
            user_id = named if isinstance(named, str) and named else None
            if user_id is not None:
                self.register.count_query(user_id)
            return self._serve("query_fault", user_id, self._query)

        return wire

    def _serve(self, dial: str, user_id: str | None, handle: Callable[[], Response]) -> Response:
        request_notes().user_id = user_id
        dice = self._dice(dial.removesuffix("_fault"), user_id)

        def answer() -> Response:
            try:
                return handle()
            except RefusedError as refusal:
                return self._refusal(refusal, dice)

        fault = self.dials.take_fault(dial, user_id)
        own = {"code_8000": self._system_error, "refuse": self._refuse}
        found = answer() if fault is None else faults.play(fault, answer, self._core.hold, own)
        if isinstance(found, faults.UnansweredResponse):
            return found
        if isinstance(found, Document):
            answers.vary(found.document, dice)
        return worsen(found, dice, promises_json=False)

    def _dice(self, call: str, user_id: str | None) -> Dice:
        return self._core.unkindness.dice(f"vexora/{call}", user_id, self.dials.value("unkind", user_id))

    def _refusal(self, refusal: RefusedError, dice: Dice) -> Response:
        code, message = refusal.failure.value
        request_notes().detail = refusal.detail or None
        shown = f"{message}: {refusal.detail}" if refusal.detail else message
        name = request.form.get("usernameFurigana")
        if name and dice.takes("echo"):
            shown = f"usernameFurigana [{name}] is not valid: {shown}"
        return answers.refused(code, shown, self._core.clock.now_ms())

    def _system_error(self, _fault: faults.Fault) -> Response:
        return answers.refused(*Failure.SYSTEM_ERROR.value, self._core.clock.now_ms())

    def _refuse(self, fault: faults.Fault) -> Response:
        code, message = Failure.REFUSED.value
        return answers.refused(fault.code or code, fault.message or message, self._core.clock.now_ms())

    def _apply(self) -> Response:
        fields = checks.form_fields(request)
        self._check(fields, checks.APPLY_FIELDS)
        checks.check_application(fields)
        application = self.register.apply(fields["userId"], fields["callBackUrl"])
        self._plan_review(application)
        which_id = str(self.dials.text("apply_user_id", application.user_id))
        data = answers.application_data(application.user_id, Status.PENDING, which_id)
        return answers.accepted(data, self._core.clock.now_ms())

    def _query(self) -> Response:
        fields = checks.json_fields(request)
        self._check(fields, checks.QUERY_FIELDS)
        user_id = fields["userId"]
        application = self.register.latest(user_id, back=self.dials.text("query_about", user_id) == "earlier")
        if application is None:
            raise RefusedError(Failure.NO_USER)
        status = Status(self.dials.text("query_status", user_id) or application.status)
        which_id = str(self.dials.text("query_user_id", user_id))
        data = answers.query_data(user_id, status, which_id, self._reason(user_id))
        return answers.accepted(data, self._core.clock.now_ms())

    def _reason(self, user_id: str) -> str:
        return self.dials.text("reason", user_id) or ""

    def _check(self, fields: dict[str, str], required: frozenset[str]) -> None:
        checks.check_request(
            fields,
            required,
            merchant_no=request.headers.get("merchantNo"),
            account=self._account,
            now_ms=self._core.clock.now_ms(),
        )

    # --- the review and its callback ---

    def _plan_review(self, application: Application) -> None:
        outcome = self.dials.text("review", application.user_id)
        delay_s = self.dials.number("review_delay_s", application.user_id) or 0.0
        if outcome is None or outcome == "none":
            return
        self._core.schedule.after(delay_s / 2, lambda: self.register.begin_review(application))
        self._core.schedule.after(delay_s, lambda: self._decide(application, outcome))

    def review_now(self, user_id: str, outcome: str, delivery: str = "sent") -> None:
        """Decide the open application of a user (`approve` or `reject`) and send the callback.

        `again` decides nothing: the callback of the latest application goes out once more, as it stands. `delivery` is
        one of `DELIVERIES`. Raises ControlError when there is no application, or it is decided.
        """
        if outcome == AGAIN:
            self._send_callbacks(self._open_to_callbacks(user_id, back=False), delivery)
            return
        application = self.register.latest(user_id)
        if application is None:
            raise ControlError(404, f"The user {user_id!r} has not applied.")
        if not self.register.decide(application, outcome):
            raise ControlError(409, f"The application of {user_id!r} is decided already.")
        self._send_callbacks(application, delivery)

    def _decide(self, application: Application, outcome: str) -> None:
        if self.register.decide(application, outcome):
            self._send_callbacks(application)

    def _send_callbacks(self, application: Application, delivery: str = "sent") -> None:
        user_id = application.user_id
        if not application.callback_url:
            return
        delivery = self._core.losses.take((user_id,), delivery)
        dice = self._dice("callback", user_id)
        mode = _DIALLED.get(delivery) or self.dials.text("callback", user_id) or dice.variant("callback_body") or "json"
        delay_s = self.dials.number("callback_delay_s", user_id)
        if delay_s is None:
            delay_s = LATE_S if mode == "delayed" else 0.0
        is_double = mode == "duplicated" or (mode in callbacks.BODIES and dice.takes("callback_twice"))
        count = self.dials.number("callback_count", user_id) or (2 if is_double else 1)
        claims = Status(self.dials.text("callback_claims", user_id) or application.status)
        for _ in range(int(count)):  # the same dice: the same bytes
            callback = self._callback(application, mode, claims, dice)
            self.register.add_callback(user_id, callback)
            if mode == "dropped":
                callback.state = "dropped"
            else:
                self._core.courier.send(callback, delay_s)

    def _callback(self, application: Application, mode: str, claims: Status, dice: Dice) -> Delivery:
        # Who forges has neither the token nor the app secret, and does not try twice.
        is_forged = mode == "forged"
        user_id = application.user_id
        fields = callbacks.result_fields(
            user_id, claims, self._reason(user_id), self._core.clock.now_ms(), dice.variant("callback_values")
        )
        secret = "not the secret" if is_forged else self._account.app_secret
        scale = self.dials.number("retry_scale", user_id)
        body, content_type = callbacks.encode(
            fields, mode if mode in callbacks.BODIES else "json", secret, dice.variant("callback_sign")
        )
        return callbacks.delivery(
            user_id=user_id,
            url=callbacks.forged(application.callback_url) if is_forged else application.callback_url,
            body=body,
            content_type=content_type,
            policy=callbacks.ONE_TRY if is_forged else callbacks.retry_policy(1.0 if scale is None else scale),
            kind=mode,
            signed=not is_forged,
        )

    def callback_now(self, user_id: str, overrides: Mapping[str, object]) -> Delivery:
        """Send one callback at once, in this thread and without repeats, and return what came of it.

        Overrides: `format` (a body of `BODIES`), `claims` ("0".."3"), `submission` (latest, earlier), `forged` (wrong
        token), `sign` (right, upper, wrong, none), `values` (numbers, mixed), `raw_body` (sent as it is) and
        `content_type`. Nothing is left to the seed. Raises ControlError.
        """
        _check_overrides(overrides)
        application = self._open_to_callbacks(user_id, back=overrides.get("submission") == "earlier")
        is_forged = overrides.get("forged", False) is True
        sign = str(overrides.get("sign", "wrong" if is_forged else "right"))
        claims = Status(str(overrides.get("claims", application.status.value)))
        values = None if "values" not in overrides else str(overrides["values"])
        fields = callbacks.result_fields(user_id, claims, self._reason(user_id), self._core.clock.now_ms(), values)
        secret = "not the secret" if sign == "wrong" else self._account.app_secret
        body, content_type = callbacks.encode(fields, str(overrides.get("format", "json")), secret, sign)
        raw = overrides.get("raw_body")
        callback = callbacks.delivery(
            user_id=user_id,
            url=callbacks.forged(application.callback_url) if is_forged else application.callback_url,
            body=body if raw is None else str(raw).encode("utf-8"),
            content_type=str(overrides.get("content_type", content_type)),
            policy=callbacks.ONE_TRY,
            kind="manual",
            signed=sign == "right" and raw is None,
        )
        self.register.add_callback(user_id, callback)
        self._core.courier.send_once(callback)
        return callback

    def _open_to_callbacks(self, user_id: str, *, back: bool) -> Application:
        application = self.register.latest(user_id, back=back)
        if application is None:
            raise ControlError(404, f"The user {user_id!r} has not applied.")
        if not application.callback_url:
            raise ControlError(409, f"The user {user_id!r} was known before we applied: no callback URL is known.")
        return application

    # --- control ---

    def _control(self) -> Blueprint:
        control = Blueprint("vexora_control", "sandbox", url_prefix=f"{CONTROL_PREFIX}/vexora/users")

        @control.get("")
        def users() -> Mapping[str, object]:
            return {"users": self.register.ids()}

        @control.get("/<user_id>")
        def user(user_id: str) -> Mapping[str, object]:
            return self.register.view(user_id)

        @control.post("/<user_id>/review")
        def review(user_id: str) -> Mapping[str, object]:
            body, delivery = without_delivery(control_object())
            outcome = body.get("outcome")
            if set(body) != {"outcome"} or not isinstance(outcome, str) or outcome not in (*OUTCOMES, AGAIN):
                raise ControlError(400, f'The body must be {{"outcome": one of {", ".join((*OUTCOMES, AGAIN))}}}.')
            self.review_now(user_id, outcome, delivery)
            return self.register.view(user_id)

        @control.post("/<user_id>/known")
        def known(user_id: str) -> Mapping[str, object]:
            outcome = control_object().get("outcome")
            if outcome not in OUTCOMES:
                raise ControlError(400, 'The body must be {"outcome": "approve"} or {"outcome": "reject"}.')
            self.register.know(user_id, str(outcome))
            return self.register.view(user_id)

        @control.post("/<user_id>/callback")
        def callback(user_id: str) -> Mapping[str, object]:
            return self.callback_now(user_id, control_object()).view()

        return control


_OVERRIDES: Mapping[str, tuple[object, ...] | type] = {
    "format": callbacks.BODIES,
    "submission": SUBMISSIONS,
    "claims": STATUSES,
    "forged": (True, False),
    "sign": ("right", "upper", "wrong", "none"),
    "values": ("numbers", "mixed"),
    "raw_body": str,
    "content_type": str,
}


def _check_overrides(overrides: Mapping[str, object]) -> None:
    for name, value in overrides.items():
        allowed = _OVERRIDES.get(name)
        if allowed is None:
            raise ControlError(400, f"There is no override {name!r}; there are: {', '.join(_OVERRIDES)}.")
        fits = isinstance(value, allowed) if isinstance(allowed, type) else value in allowed
        if not fits:
            words = "a text" if isinstance(allowed, type) else " or ".join(map(str, allowed))
            raise ControlError(400, f"The override {name!r} must be {words}.")
