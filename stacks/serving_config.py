"""What the configuration says of models that are served."""

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from falaj.components import Autoscaler, Tier
from rollout_config import StrategyConfig
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


class PublishedConfig(Section):
    """A model that `falaj-serve` published in the tenant's folder of the store `models`, sealed by the tenant's key."""

    model: str
    version: int
    digest: str | None = None
    signing_key: str
    fetcher_image: str
    model_size: str | None = None


class RecorderConfig(Section):
    """The pod that writes down what a strategy decides over a published model."""

    api_server_cidrs: list[str] = []
    every_seconds: int | None = None


class DriftConfig(Section):
    """How requests are watched for drift; `samples` is the purpose of a store."""

    percent: int | None = None
    above: float | None = None
    window_minutes: int | None = None
    samples: Name | None = None
    samples_per_hour: int | None = None
    identifying: list[str] | None = None
    webhook: str | None = None
    webhook_cidrs: list[str] | None = None
    webhook_secret: str | None = None
    service_account: Name | None = None


class EnvoyGatewayConfig(Section):
    """That the gateway is one of Envoy Gateway, and where it runs its Envoys."""

    namespace: Name | None = None


class ServiceConfig(Section):
    """A model served by Triton for one tenant: all of its folder of the store `models`, or one published model of it.

    Fields that `TritonService` has too mean the same there.
    """

    name: Name
    tenant: Name
    image: str
    models: str = "models"
    published: PublishedConfig | None = None
    pool: Name | None = None
    tier: Tier = Tier.PRODUCTION
    replicas: int | None = Field(default=None, ge=1)
    autoscaling: AutoscalingConfig | None = None
    gpus: int = Field(default=1, ge=0)
    cpus: int = Field(default=4, ge=1)
    memory: str = "16Gi"
    service_account: Name = "workload"
    monitoring: bool = False
    gateway: _Gateway | None = None
    envoy_gateway: EnvoyGatewayConfig | None = None
    client_names: list[str] | None = None
    hostnames: list[str] | None = None
    grpc_hostnames: list[str] | None = None
    idempotent: bool | None = None
    strategy: StrategyConfig | None = None
    recorder: RecorderConfig | None = None
    unrecorded: bool = False
    drift: DriftConfig | None = None
    p99_milliseconds: int | None = None
    error_percent: float | None = None
    ready_timeout: str | None = None

    @property
    def most_gpus(self) -> int:
        """GPUs that it takes when it is at its largest: with a strategy both versions stand there for a while."""
        pods = self.autoscaling.most if self.autoscaling else self.replicas or 2
        return self.gpus * pods * (2 if self.strategy else 1)

    @property
    def recorded(self) -> bool:
        """Whether a recorder writes down what is decided: unless that is unsaid, where a strategy decides."""
        decides = self.published is not None and self.strategy is not None
        return self.recorder is not None or (decides and not self.unrecorded)

    def plain(self) -> dict[str, Any]:
        """Return what `TritonService` takes as it is said here: all but what the platform hands over itself."""
        of_platform = {"name", "tenant", "models", "published", "recorder", "drift"}
        said = self.model_dump(exclude=of_platform, exclude_none=True)
        return said | (self.published.model_dump(exclude_none=True) if self.published else {})

    def path(self, field: str) -> str:
        """Return where in the configuration a field of the component is said."""
        _, _, rest = field.partition(".")
        within = "published." if rest.partition(".")[0] in PublishedConfig.model_fields else ""
        return f"{self.name}.{within}{_camel(rest)}"

    @model_validator(mode="after")
    def _one_says_how_many(self) -> Self:
        if self.autoscaling and self.replicas is not None:
            remedy = "replicas must be left out where autoscaling sets them"
            raise ValueError(f"{self.name}: {remedy} (got {self.replicas})")
        return self


def _camel(path: str) -> str:
    head, *rest = path.split("_")
    return head + "".join(each[:1].upper() + each[1:] for each in rest)
