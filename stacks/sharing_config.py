"""The part of the configuration that says which GPUs there are and who has which share of them."""

from pydantic import Field, ValidationInfo, field_validator

from falaj.components import CapacityType, Classification, GpuAgent, PipelineStage, Queueing, Tier, TopologyLevel
from section import Name, Section


class BudgetConfig(Section):
    """What may be spent in a month, and who hears of it."""

    monthly_usd: int = Field(ge=1)
    emails: list[str] = Field(min_length=1)


class NeedsConfig(Section):
    """What a pool has to have; its instance types follow from it."""

    gpus: int = Field(ge=1)
    gpu_model: str | None = None
    gpu_memory_gb: int | None = None
    gpus_per_node: int | None = None


class ReservationConfig(Section):
    """Capacity that is reserved already."""

    id: str
    zone: str


class PoolConfig(Section):
    """A pool of nodes, with GPUs unless it says otherwise; ``common`` of its GPUs are everybody's to borrow."""

    name: Name
    gpu: bool = True
    instance_types: list[str] = []
    needs: NeedsConfig | None = None
    min: int = Field(default=0, ge=0)
    max: int | None = Field(default=None, ge=1)
    nodes: int = Field(default=0, ge=0, validate_default=True)
    autoscaled: bool = False
    capacity_type: CapacityType = CapacityType.ON_DEMAND
    reservation: ReservationConfig | None = None
    zone: str | None = None
    efa: bool = False
    image_release: str | None = None
    local_nvme: bool = False
    mig_profile: str | None = None
    time_slices: int | None = None
    topology: list[TopologyLevel] = []
    common: int = Field(default=0, ge=0)

    @field_validator("max")
    @classmethod
    def _max_holds_min(cls, value: int | None, info: ValidationInfo) -> int | None:
        low = info.data.get("min", 0)
        if value is not None and value < low:
            raise ValueError(f"must be >= min (got {value} < {low})")
        return value

    @field_validator("nodes")
    @classmethod
    def _nodes_within(cls, value: int, info: ValidationInfo) -> int:
        low, high = info.data.get("min", 0), info.data.get("max") or value
        if not low <= value <= high:
            raise ValueError(f"must be from min to max (got {value}, not {low} to {high})")
        return value


class ShareConfig(Section):
    """What somebody has of one pool, in what its pods ask for; shares in order of preference."""

    pool: Name
    nominal: int = Field(ge=0)
    borrowing_limit: int | None = Field(default=None, ge=0)
    lending_limit: int | None = Field(default=None, ge=0)


class DepartmentConfig(Section):
    """Tenants that lend to each other before they lend to others."""

    name: Name
    parent: Name | None = None
    shares: list[ShareConfig] = []
    weight: int = 1


class TenantConfig(Section):
    """A team with its share; ``gpus`` bounds what it has at once, what it borrows included.

    One that ``publishes`` models has a key of its own, which seals them in its stores of models.
    """

    name: Name
    owner: str
    cost_centre: str
    classification: Classification = Classification.RESTRICTED
    department: Name | None = None
    gpus: int = Field(ge=0)
    shares: list[ShareConfig] = Field(min_length=1)
    weight: int = 1
    queueing: Queueing = Queueing.BEST_EFFORT
    tiers: list[Tier] = [Tier.BATCH, Tier.SCAVENGER]
    cpus: int = Field(default=64, ge=1)
    memory: str = "256Gi"
    service_accounts: list[Name] = ["workload"]
    stages: dict[PipelineStage, list[Name]] = {}
    data: list[Classification] = []
    stores: list[Name] = []
    publishes: bool = False
    uid: int | None = Field(default=None, ge=1)
    budget: BudgetConfig | None = None

    @property
    def accounts(self) -> list[str]:
        """All its service accounts, of a stage or of none."""
        return [*self.service_accounts, *(account for of_stage in self.stages.values() for account in of_stage)]

    @field_validator("shares")
    @classmethod
    def _quota_holds_shares(cls, value: list[ShareConfig], info: ValidationInfo) -> list[ShareConfig]:
        """Refuse a share that the tenant's own bound would keep it from."""
        own, bound = sum(share.nominal for share in value), info.data.get("gpus", 0)
        if own > bound:
            raise ValueError(f"must not be more together than gpus (got {own} > {bound}): raise gpus or lower a share")
        return value


class SchedulerConfig(Section):
    """What turns deadlines and waiting into priorities."""

    image: str
    rescue: bool = True
    consolidate: bool = True


class AutoscaledPoolConfig(Section):
    """A pool that the autoscaler sizes, with what a node costs as you pay it."""

    name: Name
    gpus_per_node: int = Field(ge=1)
    usd_per_node_hour: float = Field(gt=0)
    usd_per_hour: float | None = Field(default=None, gt=0)
    spare_nodes: int = Field(default=0, ge=0)


class AutoscalerConfig(Section):
    """What sizes pools by the work that waits for nodes."""

    image: str
    pools: list[AutoscaledPoolConfig] = Field(min_length=1)
    usd_per_hour: float | None = Field(default=None, gt=0)
    idle_seconds: int = 600


class OperatorsConfig(Section):
    """The agents of GPU nodes and Kueue, from charts of the registry; a lab has its own."""

    agent: GpuAgent = GpuAgent.DEVICE_PLUGIN
    efa: bool = False
    time_slices: list[int] = []
