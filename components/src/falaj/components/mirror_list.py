"""Print every chart and image of ``GpuOperators`` that has to be copied, for a site that reaches no other registry.

python -m falaj.components.mirror_list --registry 123456789012.dkr.ecr.me-central-1.amazonaws.com
"""

import argparse
import sys
from collections.abc import Sequence

from falaj.components.charts import charts, mirror_list


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one line for each: what it is, where it comes from, and where it goes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--registry", required=True, metavar="HOST", help="host of the home region's registry")
    for option, form, meaning in (
        ("--mirror", "HOST=PREFIX", "a registry that is mirrored already"),
        ("--version", "NAME=VERSION", "a version other than the pinned one"),
    ):
        parser.add_argument(option, metavar=form, help=meaning, action="append", default=[], type=_pair)
    options = parser.parse_args(arguments)
    versions = dict(options.version)
    for copy in mirror_list(options.registry, dict(options.mirror), versions):
        sys.stdout.write(f"{copy.kind}\t{copy.upstream}\t{copy.target}\n")
    for chart in charts().values():
        unnamed = [name for name, version in chart.parts.items() if versions.get(name, version) is None]
        if unnamed:
            sys.stderr.write(f"# {chart.name} is left out where no --version names {', '.join(unnamed)}\n")
    return 0


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text} must be of the form name=value")
    return name, value


if __name__ == "__main__":
    sys.exit(main())
