"""The merchant API, as Powertools reads it from the routes and models of each function."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from honnin.merchant_api import MerchantApi
from operations.openapi import problems

SECURITY_SCHEME = "sigv4"

_FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"

# Powertools describes its own answer to a bad request, which MerchantApi replaces by a problem.
_NOT_OURS = {"HTTPValidationError", "ResponseValidationError", "ValidationError"}

type Json = dict[str, Any]


def described() -> tuple[Json, Json]:
    """Paths and schemas of every function that has a `MerchantApi`; a new route is found by itself.

    Raises
    ------
    ValueError
        Two functions have different models of one name.
    """
    paths: Json = {}
    schemas: Json = {}
    for folder in sorted(path.parent for path in _FUNCTIONS.glob("*/app.py")):
        app = _load(folder)
        if not hasattr(app, "_api"):
            continue
        api: MerchantApi = app._api()
        found = json.loads(api.resolver.get_openapi_json_schema(title="Honnin", version="0"))
        for name, schema in found.get("components", {}).get("schemas", {}).items():
            tidy = _tidy(schema)
            if schemas.setdefault(name, tidy) != tidy:
                raise ValueError(f"functions/{folder.name} has another model {name} than the functions before it")
        for path, operations in found["paths"].items():
            for method, operation in operations.items():
                paths.setdefault(path, {})[method] = _operation(path, operation, _handler(api, path, method))
    kept = {name: schema for name, schema in schemas.items() if name not in _NOT_OURS}
    return dict(sorted(paths.items())), kept


def _load(folder: Path) -> ModuleType:
    """functions/<name>/app.py under a module name of its own: all of them are called `app`."""
    name = f"honnin_described_{folder.name}"
    spec = importlib.util.spec_from_file_location(name, folder / "app.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"there is no app.py in {folder}")
    module = importlib.util.module_from_spec(spec)
    # Registered before it runs: pydantic looks a model's module up by name.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _handler(api: MerchantApi, path: str, method: str) -> Any:
    """The function behind a route: its name and docstring are in no public answer of Powertools."""
    for route in (*api.resolver._static_routes, *api.resolver._dynamic_routes):
        if (route.openapi_path, route.method.lower()) == (path, method):
            return route.func
    raise LookupError(f"no handler of {method} {path}")


def _operation(path: str, found: Json, handler: Any) -> Json:
    summary, _, more = (handler.__doc__ or "").strip().partition("\n")
    operation: Json = {
        "operationId": _camel_case(handler.__name__),
        "summary": summary,
        "tags": [path.split("/")[1].capitalize().replace("Paypay", "PayPay")],
        "security": [{SECURITY_SCHEME: []}],
    }
    if more.strip():
        operation["description"] = " ".join(more.split())
    if "parameters" in found:
        operation["parameters"] = [_parameter(each) for each in found["parameters"]]
    if "requestBody" in found:
        operation["requestBody"] = _tidy(found["requestBody"])
    operation["responses"] = _responses(found)
    return operation


def _responses(found: Json) -> Json:
    good = {int(status): _tidy(each) for status, each in found["responses"].items() if status < "400"}
    # 422 is Powertools' own. A route that declares no answers may have any problem.
    declared = {int(status) for status in found["responses"] if status >= "400" and status != "422"}
    plain = not declared and good.keys() == {200}
    bad = problems.OF_SOME_ROUTES if plain else declared
    return {
        str(status): each for status, each in sorted((good | problems.references(bad, "requestBody" in found)).items())
    }


def _parameter(found: Json) -> Json:
    parameter: Json = _tidy(found)
    schema = parameter["schema"]
    schema.pop("description", None)  # Powertools writes it in both places
    if "anyOf" in schema:
        # An optional one: left out, it is null for the handler; on the wire there is no null.
        given = [each for each in schema.pop("anyOf") if each != {"type": "null"}]
        schema |= given[0] if len(given) == 1 else {"anyOf": given}
    if parameter["in"] == "header":
        parameter["name"] = "-".join(part.capitalize() for part in parameter["name"].split("-"))
    return {"name": parameter["name"], "in": parameter["in"], **parameter}


def _tidy(value: Any) -> Any:
    """Pydantic's schema in JSON Schema's own words.

    Its `title`s repeat the names. `\\A` and `\\z` are not in ECMA 262, where `^` and `$` mean just that. A limit of
    an integer is an integer.
    """
    match value:
        case dict():
            return {
                name: each if name in ("examples", "enum", "const", "default") else _tidy(each)
                for name, each in value.items()
                if not (name == "title" and isinstance(each, str))
            } | _ecma(value)
        case list():
            return [_tidy(each) for each in value]
        case float() if value.is_integer():
            return int(value)
    return value


def _ecma(schema: Json) -> Json:
    pattern = schema.get("pattern")
    if not isinstance(pattern, str):
        return {}
    return {"pattern": pattern.replace(r"\A", "^").replace(r"\z", "$")}


def _camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)
