"""Compose the platform that the stack's configuration describes."""

import pulumi
from pulumi.runtime import config as pulumi_config

from composition import compose
from falaj.components import ConfigError
from platform_config import PlatformConfigError, read_config
from targets import MissingVariableError, make_providers


def main() -> None:
    """Make the platform and export what others need of it; what a person did wrong is one line, not a traceback."""
    try:
        config = read_config({**pulumi_config.get_config_env(), **pulumi_config.CONFIG.get()})
        platform = compose(config, make_providers(config))
    except (PlatformConfigError, MissingVariableError, ConfigError) as error:
        raise pulumi.RunError(str(error)) from None
    pulumi.export("environment", config.environment.value)
    pulumi.export("target", config.target.value)
    pulumi.export("region", config.regime.home_region)
    for name, value in platform.outputs().items():
        pulumi.export(name, value)


main()
