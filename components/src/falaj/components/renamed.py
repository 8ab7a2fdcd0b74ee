"""Components that bore another name: stacks that were made under it keep what they have."""

import pulumi


def renamed(old: str, opts: pulumi.ResourceOptions | None) -> pulumi.ResourceOptions:
    """Return the options of a component whose type was called ``old`` before, so that nothing is made anew."""
    alias = pulumi.ResourceOptions(aliases=[pulumi.Alias(type_=f"falaj:index:{old}")])
    return pulumi.ResourceOptions.merge(opts, alias)
