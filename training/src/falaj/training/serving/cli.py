"""`falaj-serve`: from an exported model to a served version, and back."""

import os
import sys
from typing import Annotated

import typer

from falaj.training.errors import TrainingError, in_words
from falaj.training.serving import commands, service_commands, watch_commands
from falaj.training.serving.options import exit_code

DEBUG = "FALAJ_DEBUG"

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", envvar=DEBUG, help="Show the traceback of an error.")] = False,
) -> None:
    """Publish exported models as immutable sealed versions, and say which version a service serves.

    Exit codes: 0 done, 1 failed, 2 refused input, 3 refused by verification.
    """
    if debug:
        os.environ[DEBUG] = "1"


for command in (
    commands.publish,
    commands.fetch,
    service_commands.status,
    service_commands.promote,
    service_commands.rollback,
    service_commands.record,
    service_commands.history,
    watch_commands.watch,
    watch_commands.samples,
):
    app.command()(command)


def main() -> None:
    """Run the command line; what a person can put right is one line, and its traceback is behind --debug."""
    try:
        app()
    except (TrainingError, OSError) as error:
        if os.environ.get(DEBUG):
            raise
        typer.echo(f"falaj-serve: {in_words(error)}", err=True)
        sys.exit(exit_code(error))


if __name__ == "__main__":
    main()
