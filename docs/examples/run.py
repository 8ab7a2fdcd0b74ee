"""Bring an example up in the lab, policies first, or down again: what `make example NAME=...` runs.

An example is written as for AWS, with Pulumi's default providers; what leads those to the lab is configuration.
"""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

EXAMPLES = Path(__file__).parent
POLICIES = EXAMPLES.parents[1] / "policies"
STACK = "lab"
ACCOUNT = "123456789012"
_EPILOG = """examples:
  falaj-lab exec -- python docs/examples/run.py data-store
  falaj-lab exec -- python docs/examples/run.py data-store --destroy
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example and return the exit code of Pulumi."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=names(), metavar="NAME", help=f"one of {', '.join(names())}")
    parser.add_argument("--destroy", action="store_true", help="destroy what the example made")
    options = parser.parse_args(arguments)
    if not os.environ.get("FALAJ_LAB"):
        parser.error(f"run this inside the lab: falaj-lab exec -- python docs/examples/run.py {options.name}")
    signal.signal(signal.SIGINT, lambda _number, _frame: None)  # Pulumi gets it too, and ends in order
    command = ("destroy", "--yes") if options.destroy else ("up", "--yes", "--policy-pack", str(POLICIES))
    return pulumi(options.name, "stack", "select", "--create", STACK) or pulumi(
        options.name, *command, "--stack", STACK, *lab_configuration(os.environ)
    )


def names() -> list[str]:
    """Return the names of the examples that come up; the others show what is refused."""
    return sorted(path.parent.name for path in EXAMPLES.glob("*/Pulumi.yaml") if path.parent.name != "refused")


def lab_configuration(env: Mapping[str, str]) -> list[str]:
    """Return the options that lead Pulumi's default AWS provider to the lab; its variables do the rest."""
    settings = {
        # On AWS, too, a program says which account and region it is for; the policies insist.
        "aws:allowedAccountIds[0]": ACCOUNT,
        "aws:region": env["AWS_REGION"],
        "aws:s3UsePathStyle": "true",
        "aws:skipMetadataApiCheck": "true",
        # S3 Control puts the account before the host's name, which no resolver knows.
        "aws:httpProxy": env["AWS_ENDPOINT_URL"],
    }
    return ["--config-path", *(part for key, value in settings.items() for part in ("-c", f"{key}={value}"))]


def pulumi(name: str, *arguments: str) -> int:
    """Run the Pulumi CLI on an example, its output as it comes."""
    return subprocess.run(["pulumi", *arguments, "--non-interactive"], cwd=EXAMPLES / name, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
