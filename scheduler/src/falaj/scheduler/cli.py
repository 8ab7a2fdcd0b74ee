"""`falaj-scheduler`: give work the priority that its deadline asks for, and say why it waits."""

import os
import sys
from typing import Annotated

import typer

from falaj.scheduler.autoscale_command import autoscale
from falaj.scheduler.errors import SchedulerError

DEBUG = "FALAJ_DEBUG"
REFUSED = 2
"""Exit code for work that is refused; 1 is for everything else that went wrong."""

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", envvar=DEBUG, help="Show the traceback of an error.")] = False,
) -> None:
    """Turn deadlines, measured progress and waiting into the priorities that Kueue goes by."""
    if debug:
        os.environ[DEBUG] = "1"


app.command()(autoscale)


def main() -> None:
    """Run the command line; what a person can put right is one line, and its traceback is behind --debug."""
    try:
        app()
    except (SchedulerError, OSError) as error:
        if os.environ.get(DEBUG):
            raise
        typer.echo(f"falaj-scheduler: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
