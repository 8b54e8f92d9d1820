"""The Vexora side: its dials, its two endpoints, its reviews and callbacks, and its control endpoints."""

from collections.abc import Callable, Mapping, Sequence

from flask import Blueprint, Response, request

from sandbox import faults
from sandbox.core import CONTROL_PREFIX, ControlError, Core, control_object
from sandbox.delivery import Delivery
from sandbox.dials import Dial, DialBoard, copies, factor, fault_of, one_of, seconds
from sandbox.journal import request_notes
from sandbox.vexora import answers, callbacks, checks
from sandbox.vexora.answers import Failure, RefusedError, Status
from sandbox.vexora.checks import VexoraAccount
from sandbox.vexora.register import OUTCOMES, Application, Register

BASE_PATH = "/japan"
FAULT_KINDS = faults.WIRE_KINDS | {"code_8000", "refuse"}
DELAYED_S = 60.0
STATUSES = tuple(status.value for status in Status)
DIALS: Mapping[str, Dial] = {
    "review": Dial("approve", one_of("approve", "reject", "none")),
    "review_delay_s": Dial(2.0, seconds),
    "callback": Dial("json", one_of("json", "form", "dropped", "duplicated", "delayed", "forged")),
    "callback_delay_s": Dial(None, seconds),
    "callback_count": Dial(None, copies),
    "callback_claims": Dial(None, one_of(*STATUSES)),
    "retry_scale": Dial(1.0, factor),
    "query_status": Dial(None, one_of(*STATUSES)),
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

        def answer() -> Response:
            try:
                return handle()
            except RefusedError as refusal:
                code, message = refusal.failure.value
                request_notes().detail = refusal.detail or None
                text = f"{message}: {refusal.detail}" if refusal.detail else message
                return answers.refused(code, text, self._core.clock.now_ms())

        fault = self.dials.take_fault(dial, user_id)
        if fault is None:
            return answer()
        own = {"code_8000": self._system_error, "refuse": self._refuse}
        return faults.play(fault, answer, self._core.hold, own)

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
        return answers.accepted(application.user_id, Status.PENDING, self._core.clock.now_ms())

    def _query(self) -> Response:
        fields = checks.json_fields(request)
        self._check(fields, checks.QUERY_FIELDS)
        user_id = fields["userId"]
        application = self.register.latest(user_id)
        if application is None:
            raise RefusedError(Failure.NO_USER)
        status = Status(self.dials.text("query_status", user_id) or application.status)
        return answers.accepted(user_id, status, self._core.clock.now_ms())

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

    def review_now(self, user_id: str, outcome: str) -> None:
        """Decide the open application of a user (`approve` or `reject`) and send the callback.

        Raises ControlError when there is none.
        """
        application = self.register.latest(user_id)
        if application is None:
            raise ControlError(404, f"The user {user_id!r} has not applied.")
        if not self.register.decide(application, outcome):
            raise ControlError(409, f"The application of {user_id!r} is decided already.")
        self._send_callbacks(application)

    def _decide(self, application: Application, outcome: str) -> None:
        if self.register.decide(application, outcome):
            self._send_callbacks(application)

    def _send_callbacks(self, application: Application) -> None:
        user_id = application.user_id
        mode = self.dials.text("callback", user_id) or "json"
        delay_s = self.dials.number("callback_delay_s", user_id)
        if delay_s is None:
            delay_s = DELAYED_S if mode == "delayed" else 0.0
        count = self.dials.number("callback_count", user_id) or (2 if mode == "duplicated" else 1)
        claims = Status(self.dials.text("callback_claims", user_id) or application.status)
        for _ in range(int(count)):
            callback = self._callback(application, mode, claims)
            self.register.add_callback(user_id, callback)
            if mode == "dropped":
                callback.state = "dropped"
            else:
                self._core.courier.send(callback, delay_s)

    def _callback(self, application: Application, mode: str, claims: Status) -> Delivery:
        # Who forges has neither the token nor the app secret, and does not try twice.
        is_forged = mode == "forged"
        secret = "not the secret" if is_forged else self._account.app_secret
        fields = callbacks.result_fields(application.user_id, claims, self._core.clock.now_ms(), secret)
        content_type = callbacks.FORM_TYPE if mode == "form" else callbacks.JSON_TYPE
        scale = self.dials.number("retry_scale", application.user_id)
        return callbacks.delivery(
            user_id=application.user_id,
            url=callbacks.forged(application.callback_url) if is_forged else application.callback_url,
            body=callbacks.encode(fields, content_type),
            content_type=content_type,
            policy=callbacks.ONE_TRY if is_forged else callbacks.retry_policy(1.0 if scale is None else scale),
            kind=mode,
            signed=not is_forged,
        )

    def callback_now(self, user_id: str, overrides: Mapping[str, object]) -> Delivery:
        """Send one callback at once, in this thread and without repeats, and return what came of it.

        Overrides: `format` (json, form), `claims` ("0".."3"), `forged` (wrong token), `sign` (right, wrong,
        none), `raw_body` (sent as it is) and `content_type`. Raises ControlError.
        """
        _check_overrides(overrides)
        application = self.register.latest(user_id)
        if application is None:
            raise ControlError(404, f"The user {user_id!r} has not applied.")
        is_forged = overrides.get("forged", False) is True
        sign = overrides.get("sign", "wrong" if is_forged else "right")
        secret = self._account.app_secret if sign == "right" else "not the secret"
        claims = Status(str(overrides.get("claims", application.status.value)))
        fields = callbacks.result_fields(user_id, claims, self._core.clock.now_ms(), secret)
        if sign == "none":
            del fields["sign"]
        content_type = callbacks.FORM_TYPE if overrides.get("format") == "form" else callbacks.JSON_TYPE
        raw = overrides.get("raw_body")
        callback = callbacks.delivery(
            user_id=user_id,
            url=callbacks.forged(application.callback_url) if is_forged else application.callback_url,
            body=callbacks.encode(fields, content_type) if raw is None else str(raw).encode("utf-8"),
            content_type=str(overrides.get("content_type", content_type)),
            policy=callbacks.ONE_TRY,
            kind="manual",
            signed=sign == "right" and raw is None,
        )
        self.register.add_callback(user_id, callback)
        self._core.courier.send_once(callback)
        return callback

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
            body = control_object()
            outcome = body.get("outcome")
            if set(body) != {"outcome"} or not isinstance(outcome, str) or outcome not in OUTCOMES:
                raise ControlError(400, 'The body must be {"outcome": "approve"} or {"outcome": "reject"}.')
            self.review_now(user_id, outcome)
            return self.register.view(user_id)

        @control.post("/<user_id>/callback")
        def callback(user_id: str) -> Mapping[str, object]:
            return self.callback_now(user_id, control_object()).view()

        return control


_OVERRIDES: Mapping[str, tuple[object, ...] | type] = {
    "format": ("json", "form"),
    "claims": STATUSES,
    "forged": (True, False),
    "sign": ("right", "wrong", "none"),
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
