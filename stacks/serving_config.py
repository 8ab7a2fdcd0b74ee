"""What the configuration says of models that are served."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from falaj.components import Autoscaler, Tier
from section import Name, Section

_Gateway = Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]*[a-z0-9])?/[a-z]([a-z0-9-]*[a-z0-9])?$")]


class AutoscalingConfig(Section):
    """Between which bounds the number of pods moves; 0 is for a model that is seldom asked."""

    most: int = Field(ge=1, le=1000)
    least: int | None = Field(default=None, ge=0, le=1000)
    by: Autoscaler = Autoscaler.HPA
    queue_milliseconds: int | None = None
    gpu_percent: int | None = None
    prometheus: str | None = None
    idle_seconds: int | None = None


class ServiceConfig(Section):
    """A model served by Triton for one tenant."""

    name: Name
    tenant: Name
    image: str
    models: str = "models"
    pool: Name | None = None
    tier: Tier = Tier.PRODUCTION
    replicas: int | None = Field(default=None, ge=1)
    autoscaling: AutoscalingConfig | None = None
    gpus: int = Field(default=1, ge=0)
    cpus: int = Field(default=4, ge=1)
    memory: str = "16Gi"
    monitoring: bool = False
    gateway: _Gateway | None = None
    client_names: list[str] = []

    @property
    def most_gpus(self) -> int:
        """GPUs that it takes when it is at its largest."""
        return self.gpus * (self.autoscaling.most if self.autoscaling else self.replicas or 2)

    @model_validator(mode="after")
    def _one_says_how_many(self) -> Self:
        if self.autoscaling and self.replicas is not None:
            remedy = "replicas must be left out where autoscaling sets them"
            raise ValueError(f"{self.name}: {remedy} (got {self.replicas})")
        return self
