"""Serve the components to every language that Pulumi speaks; ``pulumi package add ./components`` makes its SDK."""

from pulumi.provider.experimental import component_provider_host

from falaj.components.package import COMPONENTS, NAME, VERSION

if __name__ == "__main__":
    component_provider_host(name=NAME, components=COMPONENTS, version=VERSION)
