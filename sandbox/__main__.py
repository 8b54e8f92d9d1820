"""`python -m sandbox`: run the provider sandbox until SIGINT or SIGTERM."""

import argparse
import os
import random
import signal
import sys
import threading
from pathlib import Path

from sandbox.app import SandboxConfig
from sandbox.paypay.account import WEBHOOK_TYPES, PayPayAccount, PayPayPaths
from sandbox.server import PortInUseError, running
from sandbox.vexora.provider import VexoraAccount

SEED_VARIABLE = "HONNIN_SANDBOX_SEED"


def main() -> int:
    """Run the sandbox; return the exit code (2: the port or the ready file cannot be used)."""
    parser = _parser()
    options = parser.parse_args()
    try:
        paypay = _paypay(options)
    except ValueError as error:
        parser.error(str(error))
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    config = SandboxConfig(
        host=options.host,
        port=options.port,
        seed=options.seed,
        verbose=options.verbose,
        vexora=VexoraAccount(options.vexora_merchant_no, options.vexora_app_secret),
        paypay=paypay,
    )
    ready_file: Path | None = options.ready_file
    try:
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)  # one left by a killed run would announce the wrong URL
        with running(config) as box:
            if ready_file is not None:
                _write_at_once(ready_file, box.url)
            print(
                f"sandbox: {box.url} (VexoraBaseUrl {box.vexora_base_url}, PayPayBaseUrl {box.paypay_base_url}), "
                f"seed {options.seed} ({SEED_VARIABLE})",
                flush=True,
            )
            stop.wait()
    except PortInUseError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"The ready file {ready_file} cannot be used: {error.strerror}.", file=sys.stderr)
        return 2
    if ready_file is not None:
        ready_file.unlink(missing_ok=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    account = VexoraAccount()
    paypay = PayPayAccount()
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="The provider sandbox (local).")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (0.0.0.0 in a container)")
    parser.add_argument("--port", type=_port, default=9100, help="0 picks a free one (default 9100)")
    parser.add_argument(
        "--seed",
        type=_seed,
        default=os.environ.get(SEED_VARIABLE) or str(random.getrandbits(32)),
        help=f"the seed of varied answers (default ${SEED_VARIABLE}, or any); none: regular answers",
    )
    parser.add_argument("--vexora-merchant-no", default=account.merchant_no)
    parser.add_argument("--vexora-app-secret", default=account.app_secret)
    for name in ("api_key", "api_secret", "merchant_id", "merchant_name", "client_id", "pkce_field"):
        parser.add_argument(_flag(name), default=getattr(paypay, name))
    for name in ("kyc_info", "kyc_passport", "kyc_passport_qr"):
        parser.add_argument(_flag(f"{name}_path"), default=getattr(paypay.paths, name))
    for kind in WEBHOOK_TYPES:
        parser.add_argument(_flag(f"webhook_{kind}_url"), default="", help="may also be set later (control API)")
    parser.add_argument("--ready-file", type=Path, help="gets the base URL once the sandbox listens")
    parser.add_argument("--verbose", action="store_true", help="a line per request on stderr")
    return parser


def _flag(name: str) -> str:
    return "--paypay-" + name.replace("_", "-")


def _paypay(options: argparse.Namespace) -> PayPayAccount:
    """Return the merchant of PayPay. Raises ValueError with a sentence."""
    return PayPayAccount(
        api_key=options.paypay_api_key,
        api_secret=options.paypay_api_secret,
        merchant_id=options.paypay_merchant_id,
        merchant_name=options.paypay_merchant_name,
        client_id=options.paypay_client_id,
        pkce_field=options.paypay_pkce_field,
        paths=PayPayPaths(
            options.paypay_kyc_info_path, options.paypay_kyc_passport_path, options.paypay_kyc_passport_qr_path
        ),
        webhook_urls={kind: getattr(options, f"paypay_webhook_{kind}_url") for kind in WEBHOOK_TYPES},
    )


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return int(text)


def _seed(text: str) -> int | None:
    if text == "none":
        return None
    if not text.isdecimal():
        raise argparse.ArgumentTypeError('a seed is a whole number, or "none"')
    return int(text)


def _write_at_once(path: Path, text: str) -> None:
    # Renamed into place, so that who waits for the file never reads half of it.
    draft = path.with_name(path.name + ".part")
    draft.write_text(text + "\n", encoding="utf-8")
    draft.replace(path)


if __name__ == "__main__":
    sys.exit(main())
