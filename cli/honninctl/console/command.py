"""`console`."""

import contextlib
import html
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from honninctl.command import Cli, command
from honninctl.failures import UsageError
from honninctl.language import _


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "console", example="honninctl console --port 8700 --no-browser")(console)


def console(
    cli: Cli,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port on 127.0.0.1; 0: any free one.")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in your browser.")] = True,
    read_only: Annotated[bool, typer.Option("--read-only", help="Leave out every page that acts.")] = False,
    reveal: Annotated[bool, typer.Option("--reveal", help="Offer the export with personal data, too.")] = False,
) -> None:
    """Show the stack in a browser: users, the recon calendar, dead letters. Ctrl-C ends it.

    It does everything with your own AWS credentials, and writes the access record first. What changes something is
    shown, confirmed and then done; --read-only leaves that out. It listens on 127.0.0.1 only, and its address holds a
    random token: whoever has the address can do what you can for as long as it runs, so do not pass it on. Personal
    data is not shown; PayPay's ids are masked.
    JSON: {"url"}; then it serves until it is ended.
    """
    from honninctl.console.pages import Pages
    from honninctl.console.server import listen

    if read_only and reveal:
        raise UsageError(_("--read-only has no export: leave out --reveal"))
    # A stack that is not there, or not the caller's to see, ends the command and not only every page.
    __ = cli.deployment.outputs
    with listen(Pages(cli.deployment, is_read_only=read_only, may_reveal=reveal), port) as server:
        if cli.screen.as_json:
            cli.screen.json({"url": server.url})
        else:
            said = _("The console of {stack}, until Ctrl-C:")
            cli.screen.line(f"{said.format(stack=cli.deployment.name)}\n{server.url}")
        # A reader of a pipe waits for the address.
        sys.stdout.flush()
        # Ctrl-C is how a console ends: no error.
        with _opened(server.url) if browser else contextlib.nullcontext(), contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


@contextlib.contextmanager
def _opened(url: str) -> Iterator[None]:
    """Have the browser open `url`. It is given a private file that leads there: what a program is started with, its
    arguments, can be read by everybody on the machine."""
    with tempfile.TemporaryDirectory(prefix="honninctl-") as directory:
        page = Path(directory) / "console.html"
        target = html.escape(url)
        page.write_text(
            f'<!doctype html><title>Honnin</title><meta http-equiv="refresh" content="0; url={target}">'
            f'<a href="{target}">Honnin</a>\n'
        )
        # A text browser would hold the terminal until it is left.
        threading.Thread(target=webbrowser.open, args=(page.as_uri(),), daemon=True).start()
        yield
