"""Kueue's own chart, from a folder, with the values that `GpuOperators` gives it."""

import pulumi
import pulumi_kubernetes as k8s

from falaj.components.chart_values import ImageAt, Wishes, kueue_values

config = pulumi.Config()
k8s.helm.v3.Release(
    "kueue",
    name="kueue",
    namespace="kueue-system",
    chart=config.require("chart"),
    values=kueue_values(ImageAt(config.require("image"), "v0.19.2"), Wishes("mixed", [])),
    # Nothing runs pods here.
    skip_await=True,
)
