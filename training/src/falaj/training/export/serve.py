"""A model for Triton's Python backend; this file stands as `model.py` beside the artifact that it runs.

It needs nothing of falaj. The backend's process ignores PYTHONPATH: what this file imports is found on
FALAJ_SERVING_PATH, if that is set. With NumPy 2, tensors go in and out by DLPack, because the backend's own way then
answers with no bytes at all, and says nothing; with NumPy 1 by the backend's own way, because DLPack ends the process.
"""

# ruff: noqa: PLC0415 - each artifact needs one library of several, and not all are there

import ctypes
import json
import os
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path[:0] = [place for place in os.environ.get("FALAJ_SERVING_PATH", "").split(os.pathsep) if place]

import numpy as np  # noqa: E402 - found by the line above

_BY_DLPACK = int(np.__version__.partition(".")[0]) > 1


class TritonPythonModel:
    """What the backend looks for in `model.py`."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the artifact beside this file."""
        config = json.loads(args["model_config"])
        self._triton: Any = import_module("triton_python_backend_utils")  # the backend brings it
        self._inputs = [each["name"] for each in config["input"]]
        self._outputs = [each["name"] for each in config["output"]]
        gpu = args["model_instance_kind"] == "GPU"
        device = f"cuda:{args['model_instance_device_id']}" if gpu else "cpu"
        self._run = load(Path(__file__).parent, self._inputs, self._outputs, device, threads(config))

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer requests. Those of the same shapes are computed together; where that fails, the others do not."""
        given = [[self._taken(request, name) for name in self._inputs] for request in requests]
        answers: list[Any] = [None] * len(requests)
        for group in alike(given):
            try:
                results = together(self._run, [given[place] for place in group])
            except Exception as error:
                failed = self._triton.TritonError(f"{type(error).__name__}: {error}")
                for place in group:
                    answers[place] = self._triton.InferenceResponse([], failed)
                continue
            for place, outputs in zip(group, results, strict=True):
                answers[place] = self._triton.InferenceResponse(
                    [self._given(*each) for each in zip(self._outputs, outputs, strict=True)]
                )
        return answers

    def _taken(self, request: Any, name: str) -> Any:
        tensor = self._triton.get_input_tensor_by_name(request, name)
        return np.from_dlpack(tensor) if _BY_DLPACK else tensor.as_numpy()

    def _given(self, name: str, array: Any) -> Any:
        return self._triton.Tensor.from_dlpack(name, Handed(array)) if _BY_DLPACK else self._triton.Tensor(name, array)


class Handed:
    """An array that the backend takes over by DLPack.

    It marks the capsule that it has taken with a name of its own, by which NumPy does not know it again: NumPy's
    destructor would complain at every answer, about memory that is the backend's by then and that it frees itself.
    """

    def __init__(self, array: Any) -> None:
        self._array = array

    def __dlpack__(self, **_: Any) -> Any:
        """Return the capsule, without a destructor."""
        capsule = self._array.__dlpack__()
        ctypes.pythonapi.PyCapsule_SetDestructor(ctypes.py_object(capsule), None)
        return capsule

    def __dlpack_device__(self) -> Any:
        """Return where the array is."""
        return self._array.__dlpack_device__()


def alike(given: list[list[Any]]) -> list[list[int]]:
    """Return the places of the requests whose inputs have the same shapes but for the batch."""
    groups: dict[Any, list[int]] = {}
    for place, inputs in enumerate(given):
        groups.setdefault(tuple((each.shape[1:], each.dtype) for each in inputs), []).append(place)
    return list(groups.values())


def together(run: Callable[[list[Any]], list[Any]], several: list[list[Any]]) -> list[list[Any]]:
    """Compute some requests' inputs as one batch, and return each request's outputs."""
    results = run([np.concatenate(each) for each in zip(*several, strict=True)])
    ends = np.cumsum([inputs[0].shape[0] for inputs in several])
    parts = [np.split(each, ends[:-1]) for each in results]
    # Copies: what is handed over is the backend's, and a view would hold the other requests' answers as well.
    return [[each.copy() for each in outputs] for outputs in zip(*parts, strict=True)]


def threads(config: Mapping[str, Any]) -> int:
    """Return how many threads this copy of a model computes with: as it says, else its share of the CPUs.

    Each copy is a process of its own, and would take them all.
    """
    if told := config.get("parameters", {}).get("intra_op_thread_count"):
        return int(told["string_value"])
    return max(1, cpus() // sum(group["count"] for group in config["instance_group"]))


def cpus(quota: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Return how many CPUs this process may use: those that it may run on, or what its container's limit leaves."""
    allowed = len(os.sched_getaffinity(0))
    try:
        time, period = map(int, quota.read_text().split())
    except (OSError, ValueError):  # no such group, or "max": without a limit
        return allowed
    return max(1, min(allowed, time // period))


def load(
    folder: Path, inputs: list[str], outputs: list[str], device: str, threads: int | None = None
) -> Callable[[list[Any]], list[Any]]:
    """Return what the artifact in ``folder`` computes, with as many threads as the library likes or ``threads``."""
    if (folder / "model.onnx").exists():
        return _onnx(folder / "model.onnx", inputs, outputs, device, threads)
    import torch

    if threads:
        torch.set_num_threads(threads)
    if (folder / "model.pt2").exists():
        from torch.export.passes import move_to_device_pass

        program = torch.export.load(folder / "model.pt2")
        module = move_to_device_pass(program, device).module() if device != "cpu" else program.module()
    else:
        module = _with_weights(folder).to(device).eval()

    def run(arrays: list[Any]) -> list[Any]:
        with torch.inference_mode():
            results = module(*(torch.from_numpy(each).to(device) for each in arrays))
        if isinstance(results, torch.Tensor):
            results = [results]
        elif isinstance(results, Mapping):
            results = [results[name] for name in outputs]
        return [each.cpu().numpy() for each in results]

    return run


def _onnx(
    path: Path, inputs: list[str], outputs: list[str], device: str, threads: int | None
) -> Callable[[list[Any]], list[Any]]:
    import onnxruntime

    options: Any = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    # Threads that wait for work would spin: measured, a small request then takes three times the processor time, which
    # the server's other threads and other copies need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    cuda = [("CUDAExecutionProvider", {"device_id": int(device.partition(":")[2])})] if device != "cpu" else []
    session: Any = onnxruntime.InferenceSession(path, options, providers=[*cuda, "CPUExecutionProvider"])
    return lambda arrays: session.run(outputs, dict(zip(inputs, arrays, strict=True)))


def _with_weights(folder: Path) -> Any:
    """Return the user's module, made by their own function, with the weights that were exported."""
    from safetensors.torch import load_model

    made = json.loads((folder / "module.json").read_text())
    package, _, function = made["entry"].partition(":")
    module = getattr(import_module(package), function)(made["settings"])
    load_model(module, folder / "model.safetensors")
    return module
