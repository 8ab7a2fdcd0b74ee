"""The model that a job's last checkpoint holds, in one process and whole."""

from typing import Any

from torch import nn
from torch.distributed.checkpoint.state_dict import get_model_state_dict, set_model_state_dict

from falaj.training.checkpoints.manager import Checkpoints
from falaj.training.contract import make_model
from falaj.training.errors import RefusedError
from falaj.training.job import Job
from falaj.training.position import Position, decode, seed_all
from falaj.training.user import User


def load_trained(job: Job, user: User) -> tuple[nn.Module, Position]:
    """Return the model as it is after the last whole checkpoint, and where that is; ready to be evaluated.

    Raises ``RefusedError`` where the job has no checkpoint.
    """
    seed_all(job.seed)
    model = make_model(job, user)
    checkpoints = Checkpoints(job.checkpoints, job.name, base=job.base)
    state: dict[str, Any] = {"model": get_model_state_dict(model), "position": b""}
    try:
        if checkpoints.restore(state) is None:
            remedy = f"must hold a checkpoint of {job.name}; `falaj-train run` makes one"
            raise RefusedError("checkpoints.location", job.checkpoints.location, remedy)
    finally:
        checkpoints.close()
    set_model_state_dict(model, state["model"])
    return model.eval(), decode(state["position"])
