"""`falaj-train`: one job file, from a laptop to a GPU fleet."""

import os
import sys
from typing import Annotated

import typer

from falaj.training import commands
from falaj.training.errors import TrainingError, in_words
from falaj.training.lineage.command import lineage
from falaj.training.sweep.command import sweep

DEBUG = "FALAJ_DEBUG"

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", envvar=DEBUG, help="Show the traceback of an error.")] = False,
) -> None:
    """Train what a job file says, lose nothing, and know where it came from.

    Exit codes: 0 done, 1 failed, 2 refused input, 3 refused by the gate, 4 data refused; 130 and 143 asked to stop.
    """
    if debug:
        os.environ[DEBUG] = "1"


for command in (
    *(commands.validate, commands.run, commands.resume, commands.evaluate, commands.export, commands.status),
    lineage,
    sweep,
):
    app.command()(command)


def main() -> None:
    """Run the command line; what a person can put right is one line, and its traceback is behind --debug."""
    try:
        app()
    except (TrainingError, OSError) as error:
        if os.environ.get(DEBUG):
            raise
        typer.echo(f"falaj-train: {in_words(error)}", err=True)
        sys.exit(commands.exit_code(error))


if __name__ == "__main__":
    main()
