"""`falaj-policy`: judge a stack from its state or preview, without cloud, plugin or network."""

import os
import sys
from typing import Annotated

import typer

from falaj.policies import commands
from falaj.policies.errors import PolicyError

DEBUG = "FALAJ_DEBUG"

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", envvar=DEBUG, help="Show the traceback of an error.")] = False,
) -> None:
    """Prove Zero Trust, ISO/IEC 27001:2022 and residency rules of a Pulumi stack, and keep the evidence."""
    if debug:
        os.environ[DEBUG] = "1"


for command in (
    *(commands.check, commands.explain, commands.rules, commands.controls, commands.diff),
    *(commands.residency, commands.verify, commands.keygen),
):
    app.command()(command)


def main() -> None:
    """Run the command line; what a person can put right is one line, and its traceback is behind --debug."""
    try:
        app()
    except (PolicyError, OSError) as error:
        if os.environ.get(DEBUG):
            raise
        typer.echo(f"falaj-policy: {in_words(error)}", err=True)
        sys.exit(commands.BAD_INPUT)


def in_words(error: PolicyError | OSError) -> str:
    """Say what went wrong in one line, without the numbers that only programs read."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return " ".join(str(error).split())


if __name__ == "__main__":
    main()
