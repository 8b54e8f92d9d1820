"""Callbacks of Vexora: their form is not published, so here is each that they may have, as API Gateway has it."""

import base64
import hashlib
import json
from typing import Any
from urllib.parse import urlencode

type Request = dict[str, Any]

SOURCE = "192.0.2.10"


def request(path: tuple[str, str], form: str, user_id: str, status: str, serial: int, app_secret: str) -> Request:
    """A callback to the URL that ends in `path` (submission id, token), rightly signed where the form has fields."""
    fields = {"userId": user_id, "authenticationStatus": status, "timestamp": str(1_774_925_553_000 + serial)}
    text = "".join(f"{name}={fields[name]}" for name in sorted(fields)) + app_secret
    signed: dict[str, Any] = {**fields, "sign": hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()}
    content_type, body = "application/json", json.dumps(signed)
    encoded = b""
    match form:
        case "numbers":
            body = json.dumps({**signed, "authenticationStatus": int(status), "success": True, "score": 0.5})
        case "base64":
            encoded = body.encode()
        case "form" | "form_untyped":
            content_type = "application/x-www-form-urlencoded" if form == "form" else "text/plain"
            body = urlencode(signed)
        case "multipart":
            content_type = "multipart/form-data; boundary=xyz"
            parts = [f'--xyz\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in signed.items()]
            body = "".join([*parts, "--xyz--\r\n"])
        case "xml":
            content_type, body = "text/xml", f"<result><authenticationStatus>{status}</authenticationStatus></result>"
        case "empty":
            content_type, body = "", ""
        case "not_utf8":
            encoded = json.dumps({**signed, "message": "@"}).encode().replace(b"@", b"\x83")
    return {
        "requestContext": {"identity": {"sourceIp": SOURCE}},
        "pathParameters": {"submissionId": path[0], "token": path[1]},
        "headers": {"Content-Type": content_type} if content_type else None,
        "body": base64.b64encode(encoded).decode() if encoded else body or None,
        "isBase64Encoded": bool(encoded),
    }
