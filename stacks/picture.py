"""Print the planned network of an environment as a Mermaid flowchart, without lab or cloud: `make picture` runs it."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from falaj.components import ConfigError
from falaj.components.network_dns import check_domains
from falaj.components.network_picture import picture
from falaj.components.network_plan import plan_network
from falaj.components.regime import check_zones
from platform_config import NAMESPACE, PlatformConfig, PlatformConfigError, read_config

STACKS = Path(__file__).parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the picture and return 0, or say in one line what is wrong with the configuration and return 2."""
    parser = argparse.ArgumentParser(description=__doc__)
    known = sorted(path.name.split(".")[1] for path in STACKS.glob("Pulumi.*.yaml"))
    parser.add_argument("stack", nargs="?", default="local", choices=known, help="environment (default: local)")
    options = parser.parse_args(arguments)
    try:
        print(network_picture(configuration(STACKS / f"Pulumi.{options.stack}.yaml")), end="")  # noqa: T201 - a command
    except (PlatformConfigError, ConfigError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - a command speaks to a person
        return 2
    return 0


def configuration(file: Path) -> PlatformConfig:
    """Return what a stack's file describes, read as Pulumi hands it to the program."""
    values = yaml.safe_load(file.read_text())["config"]
    return read_config({key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()})


def network_picture(config: PlatformConfig) -> str:
    """Return the picture of the network that the configuration plans, refusing what the component would refuse."""
    network, prefix = config.network, f"{NAMESPACE}:network"
    zones = check_zones(f"{prefix}.zones", network.zones, config.regime.home_region)
    plan = plan_network(prefix, network.cidr, zones, network.reserved_cidrs)
    close = plan.zone(f"{prefix}.placement_zone", network.placement_zone or zones[0])
    domains = check_domains(f"{prefix}.allowed_domains", network.allowed_domains)
    return picture(f"network of {config.environment}", plan, domains, close.zone)


if __name__ == "__main__":
    sys.exit(main())
