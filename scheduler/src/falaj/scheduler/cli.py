"""`falaj-scheduler`: give work the priority that its deadline asks for, and say why it waits."""

import os
import sys
from typing import Annotated

import typer

from falaj.scheduler import commands
from falaj.scheduler.autoscale_command import autoscale
from falaj.scheduler.errors import RefusedError, SchedulerError

DEBUG = "FALAJ_DEBUG"

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", envvar=DEBUG, help="Show the traceback of an error.")] = False,
) -> None:
    """Turn deadlines, measured progress and waiting into the priorities that Kueue goes by."""
    if debug:
        os.environ[DEBUG] = "1"


for command in (commands.run, commands.check, commands.explain, autoscale):
    app.command()(command)


def main() -> None:
    """Run the command line; what a person can put right is one line, and its traceback is behind --debug."""
    try:
        app()
    except (SchedulerError, OSError) as error:
        if os.environ.get(DEBUG):
            raise
        typer.echo(f"falaj-scheduler: {in_words(error)}", err=True)
        sys.exit(commands.REFUSED if isinstance(error, RefusedError) else 1)


def in_words(error: SchedulerError | OSError) -> str:
    """Say what went wrong without the numbers that only programs read."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


if __name__ == "__main__":
    main()
