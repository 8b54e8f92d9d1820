"""The Flask application: the providers' endpoints, the merchant's shop, the page, the control API under `/_sandbox`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from flask import Blueprint, Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from sandbox.core import CONTROL_PREFIX, ControlError, Core, Provider, control_object
from sandbox.dials import DialBoard, DialError
from sandbox.explained import explanation
from sandbox.faults import UnansweredResponse
from sandbox.guard import guard
from sandbox.journal import request_notes
from sandbox.page import PREFIX, page_blueprint
from sandbox.paypay.account import PayPayAccount
from sandbox.paypay.provider import PayPayProvider
from sandbox.shop import WEBHOOK_PATH, Receivers, shop_blueprint
from sandbox.vexora.provider import VexoraAccount, VexoraProvider

# The largest thing that a merchant sends is a form of a few hundred bytes.
MAX_BODY_BYTES = 1024 * 1024


@dataclass(frozen=True)
class SandboxConfig:
    """How to run the sandbox. `host` is the address to listen on; port 0 picks a free one.

    `verbose` prints a line per request to stderr.

    By the `seed` the answers are unkind (`sandbox.unkind`); with None they are as kind as the documents' examples.
    """

    host: str = "127.0.0.1"
    port: int = 0
    seed: int | None = None
    verbose: bool = False
    vexora: VexoraAccount = field(default_factory=VexoraAccount)
    paypay: PayPayAccount = field(default_factory=PayPayAccount)


class Sandbox:
    """All simulated providers and what they share."""

    def __init__(self, config: SandboxConfig) -> None:
        self.core = Core(config.seed)
        self.vexora = VexoraProvider(self.core, config.vexora)
        self.paypay = PayPayProvider(self.core, config.paypay)
        self.receivers = Receivers(self.core.lock)
        self.merchant_name = config.paypay.merchant_name
        self.providers: dict[str, Provider] = {"vexora": self.vexora, "paypay": self.paypay}

    def reset(self) -> None:
        """Return to the state after the start."""
        with self.core.lock:
            self.core.reset()
            for provider in self.providers.values():
                provider.dials.reset()
                provider.reset()


def create_app(sandbox: Sandbox) -> Flask:
    """Return the WSGI application that serves `sandbox`."""
    app = Flask("sandbox", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.register_blueprint(_control(sandbox))
    for provider in sandbox.providers.values():
        for blueprint in provider.blueprints():
            app.register_blueprint(blueprint)
    app.register_blueprint(shop_blueprint(sandbox.merchant_name, sandbox.receivers))
    app.register_blueprint(page_blueprint(sandbox))
    guard(app, PREFIX)
    _write_journal(app, sandbox.core)
    _answer_errors_in_json(app)
    return app


def _control(sandbox: Sandbox) -> Blueprint:
    control = Blueprint("control", "sandbox", url_prefix=CONTROL_PREFIX)
    core = sandbox.core

    @control.get("/health")
    def health() -> Mapping[str, object]:
        return {
            "ok": True,
            "providers": sorted(sandbox.providers),
            "scheduled": core.schedule.pending(),
            "seed": core.unkindness.seed,
        }

    @control.post("/reset")
    def reset() -> Mapping[str, object]:
        sandbox.reset()
        return {"ok": True}

    @control.get("/clock")
    def clock() -> Mapping[str, object]:
        return {"now": core.clock.now_iso(), "now_ms": core.clock.now_ms(), "offset_s": core.clock.offset_s()}

    @control.post("/clock")
    def advance() -> Mapping[str, object]:
        body = control_object()
        step = body.get("advance_s")
        if set(body) != {"advance_s"} or not isinstance(step, int | float) or isinstance(step, bool):
            raise ControlError(400, 'The body must be {"advance_s": seconds}.')
        if not abs(step) <= 10 * 365 * 86400:  # also catches NaN
            raise ControlError(400, "The clock moves by ten years at most.")
        core.advance(step)
        return clock()

    @control.post("/lose-next")
    def lose_next() -> Mapping[str, object]:
        body = control_object()
        user = body.get("user")
        if set(body) - {"user"} or not (user is None or isinstance(user, str)):
            raise ControlError(400, 'The body must be {} or {"user": a name}.')
        core.losses.add(user)
        return {"ok": True}

    @control.get("/journal")
    def journal() -> Mapping[str, object]:
        return {"entries": [asdict(entry) for entry in core.journal.entries()]}

    _add_dials(control, sandbox)
    return control


def _add_dials(control: Blueprint, sandbox: Sandbox) -> None:
    def board(provider: str) -> DialBoard:
        if provider not in sandbox.providers:
            raise ControlError(404, f"There is no provider {provider!r}.")
        return sandbox.providers[provider].dials

    def get(provider: str, user_id: str | None = None) -> Mapping[str, object]:
        return board(provider).view(user_id)

    def put(provider: str, user_id: str | None = None) -> Mapping[str, object]:
        try:
            board(provider).put(control_object(), user_id)
        except DialError as error:
            raise ControlError(400, str(error)) from None
        return board(provider).view(user_id)

    def delete(provider: str, user_id: str | None = None) -> Mapping[str, object]:
        board(provider).clear(user_id)
        return board(provider).view(user_id)

    for path in ("/dials/<provider>", "/dials/<provider>/<user_id>"):
        control.add_url_rule(path, view_func=get, methods=["GET"], endpoint="get_dials")
        control.add_url_rule(path, view_func=put, methods=["PUT"], endpoint="put_dials")
        control.add_url_rule(path, view_func=delete, methods=["DELETE"], endpoint="delete_dials")


def _write_journal(app: Flask, core: Core) -> None:
    @app.after_request
    def write(response: Response) -> Response:
        # The journal is what the providers were asked: the merchant is none of them, nor is who looks at the page.
        own = (CONTROL_PREFIX, WEBHOOK_PATH, f"{PREFIX}/")
        if request.path not in ("/", "/favicon.ico") and not request.path.startswith(own):
            status = None if isinstance(response, UnansweredResponse) else response.status_code
            rule = "" if request.url_rule is None else str(request.url_rule)
            core.journal.received(
                request.method, request.path, status, request_notes(), rule=rule, explanation=explanation()
            )
        return response


def _answer_errors_in_json(app: Flask) -> None:
    @app.errorhandler(ControlError)
    def control_error(error: ControlError) -> tuple[Response, int]:
        return jsonify(error=str(error)), error.status

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> tuple[Response, int]:
        return jsonify(error=error.description or error.name), error.code or 500
