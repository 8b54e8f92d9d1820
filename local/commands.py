"""The commands of `python -m local`, which `make` and `honninctl local` call."""

import argparse
import json
import signal
import sys
import time
from typing import Any

import requests

from local import background, bus, description, differences, ports, stack
from local import reset as emptying
from local.errors import LocalError
from local.paths import DEFAULT_NAME, ROOT, description_file, env_file

_DEFAULT_PORTS = {"port": 4566, "sandbox_port": 9100}
_NOT_THERE = 3
_HEALTH_S = 5.0
_HEALTH = {"endpoint": "/_ministack/health", "sandboxUrl": "/_sandbox/health"}


def run(options: argparse.Namespace) -> int:
    """In front of the reader, with the main job shown on it; until a signal, or with `--once` until it is shown."""
    from local import demo, demo_paypay, demo_recon, screen

    terminal = screen.console()
    steps = screen.ShownSteps(terminal)
    with stack.running(options.name, **_how(options), steps=steps) as deployed:
        screen.show_differences(terminal, deployed)
        scenes = [*demo.VEXORA_SCENES, *demo_paypay.PAYPAY_SCENES, *demo_recon.RECON_SCENES]
        if not deployed.sandbox_url:
            scenes.clear()  # they say how the sandbox behaves
        results = demo.perform(deployed, steps, scenes)
        if scenes:
            screen.show_results(terminal, results)
            screen.show_recon(terminal, demo_recon.reports(deployed))
        screen.show_addresses(terminal, _description(options.name))
        if not options.once:
            if scenes:
                terminal.print("Link an account yourself, in a browser:")
                terminal.print(f"  {demo_paypay.account_link(deployed, 'you')}", soft_wrap=True)
            terminal.print("The stack stays up. Ctrl-C stops everything.")
            _until_stopped()
    return 0 if all(result.ok for result in results) else 1


def keep(options: argparse.Namespace) -> int:
    """Hold a stack until a signal: the process that `up` starts."""
    from local import screen

    with stack.running(options.name, **_how(options), steps=screen.ShownSteps(screen.console())):
        _until_stopped()
    return 0


def up(options: argparse.Namespace) -> int:
    """Start a stack in the background; a ready line, or its description, once it is ready."""
    if stack.holder(options.name) is None:
        begun = time.monotonic()
        background.up(options.name, _arguments(options), sys.stderr)
        said = f"Ready in {time.monotonic() - begun:.1f} s"
    else:
        stack.found(options.name)  # or a sentence: it is not ready yet
        _require_the_same(options)
        said = "Running already"
    described = _description(options.name)
    if options.json:
        print(json.dumps(described, indent=2))
    else:
        print(f"{said}: {_place(described)}\nIn your shell: . {env_file(options.name).relative_to(ROOT)}")
    return 0


def down(options: argparse.Namespace) -> int:
    """End a stack, and everything that it started. It is no mistake if there is none."""
    was_there = background.down(options.name)
    if options.json:
        print(json.dumps({"name": options.name, "stopped": was_there}))
    elif was_there:
        print(f"The local stack {options.name!r} has ended.")
    else:
        print(f"No local stack called {options.name!r} was running.")
    return 0


def status(options: argparse.Namespace) -> int:
    """Where a running stack is: 0 when it is ready, 1 when it starts or does not answer, 3 when there is none."""
    if stack.holder(options.name) is None:
        code, said, described = _NOT_THERE, "not running", {"name": options.name}
    elif not description_file(options.name).exists():
        code, said, described = 1, "starting or stopping", {"name": options.name}
    else:
        described = _description(options.name)
        silent = [
            described[key]
            for key, path in _HEALTH.items()
            if described[key] and not _answers(f"{described[key]}{path}")
        ]
        code, said = (1, f"does not answer: {', '.join(silent)}") if silent else (0, "ready")
    if options.json:
        print(json.dumps({"state": said, **described}, indent=2))
    elif code == _NOT_THERE:
        print(f"No local stack called {options.name!r} is running.")
    else:
        print(f"The local stack {options.name!r}: {said}")
        if code == 0:
            print(_place(described))
            print(description.exports(described), end="")
    return code


def reset(options: argparse.Namespace) -> int:
    """Empty a running stack and its sandbox."""
    running = stack.found(options.name)
    begun = time.monotonic()
    emptying.reset(running)
    seconds = round(time.monotonic() - begun, 2)
    if options.json:
        print(json.dumps({"name": options.name, "seconds": seconds}))
    else:
        print(f"The local stack {options.name!r} is empty ({seconds} s).")
    return 0


def events(options: argparse.Namespace) -> int:
    """Print domain events from now on; 1 when none comes within `--timeout` (which `--follow` takes for its end)."""
    running = stack.found(options.name)
    ends = None if options.timeout is None else time.monotonic() + options.timeout
    with bus.listening(running) as arriving:
        print(f"Listening to the bus {running.outputs['EventBusName']}.", file=sys.stderr, flush=True)
        for event in arriving:
            if event is not None:
                print(json.dumps(event, ensure_ascii=False), flush=True)
                if not options.follow:
                    return 0
            elif ends is not None and time.monotonic() > ends:
                return 0 if options.follow else 1
    raise AssertionError("events come without an end")


def _how(options: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `stack.running`, of the options."""
    chosen = _ports(options)
    if options.sandbox == "off":
        chosen["sandbox_port"] = 0
    for key, what, setting in (
        ("port", "the emulator", "HONNIN_PORT"),
        ("sandbox_port", "the provider sandbox", "HONNIN_SANDBOX_PORT"),
    ):
        if chosen[key]:
            ports.require_free(chosen[key], what=what, setting=setting, host=options.host)
    if chosen["port"] and chosen["port"] == chosen["sandbox_port"]:
        raise LocalError("HONNIN_PORT and HONNIN_SANDBOX_PORT are the same port: choose two different ones.")
    added = differences.chosen([*options.parameters, *options.parameter])
    return {**chosen, "added": added, "sandbox": options.sandbox == "on", "host": options.host}


def _ports(options: argparse.Namespace) -> dict[str, int]:
    """The ports; 0 for any free one. The usual ones belong to the stack without a name of its own."""
    usual = _DEFAULT_PORTS if options.name == DEFAULT_NAME else dict.fromkeys(_DEFAULT_PORTS, 0)
    given = {key: getattr(options, key) for key in usual}
    return {key: usual[key] if given[key] is None else given[key] for key in usual}


def _arguments(options: argparse.Namespace) -> list[str]:
    """The options of `up` once more, for `keep`."""
    chosen = _ports(options)
    arguments = [f"--port={chosen['port']}", f"--sandbox-port={chosen['sandbox_port']}", f"--host={options.host}"]
    arguments.append(f"--sandbox={options.sandbox}")
    return [*arguments, *(f"--parameter={each}" for each in (*options.parameters, *options.parameter))]


def _require_the_same(options: argparse.Namespace) -> None:
    """A stack that is up already is taken as it is: LocalError when something else was asked for."""
    described = _description(options.name)
    wanted = {each.name: each.value for each in differences.chosen([*options.parameters, *options.parameter])}
    same = (
        all(described["parameters"].get(name) == value for name, value in wanted.items())
        and (described["sandboxUrl"] is not None) == (options.sandbox == "on")
        and all(
            not port or described[key].endswith(f":{port}")
            for key, port in (("endpoint", options.port), ("sandboxUrl", options.sandbox_port))
            if described[key]
        )
    )
    if not same:
        raise LocalError(
            f"A local stack called {options.name!r} is running with other settings: end it first, "
            "or start another one under a name of its own."
        )


def _description(name: str) -> dict[str, Any]:
    described: dict[str, Any] = json.loads(description_file(name).read_text(encoding="utf-8"))
    return described


def _place(described: dict[str, Any]) -> str:
    return " ".join(
        filter(
            None, (f"AWS {described['endpoint']}", described["sandboxUrl"] and f"sandbox {described['sandboxUrl']}/")
        )
    )


def _answers(url: str) -> bool:
    with requests.Session() as session:
        session.trust_env = False
        try:
            return session.get(url, timeout=_HEALTH_S).ok
        except requests.RequestException:
            return False


def _until_stopped() -> None:
    while True:
        signal.pause()
