"""A model for Triton's Python backend; this file stands as `model.py` beside the artifact that it runs.

It needs nothing of falaj. The backend's process ignores PYTHONPATH: what this file imports is found on
FALAJ_SERVING_PATH, if that is set. Tensors go in and out by DLPack, because with NumPy 2 the backend's own way
answers with no bytes at all, and says nothing.
"""

# ruff: noqa: PLC0415 - each artifact needs one library of several, and not all are there

import json
import os
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path[:0] = [place for place in os.environ.get("FALAJ_SERVING_PATH", "").split(os.pathsep) if place]

import numpy as np  # noqa: E402 - found by the line above


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
        self._run = load(Path(__file__).parent, self._inputs, self._outputs, device)

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
                    [self._triton.Tensor.from_dlpack(*each) for each in zip(self._outputs, outputs, strict=True)]
                )
        return answers

    def _taken(self, request: Any, name: str) -> Any:
        return np.from_dlpack(self._triton.get_input_tensor_by_name(request, name))


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


def load(folder: Path, inputs: list[str], outputs: list[str], device: str) -> Callable[[list[Any]], list[Any]]:
    """Return what the artifact in ``folder`` computes."""
    if (folder / "model.onnx").exists():
        return _onnx(folder / "model.onnx", inputs, outputs, device)
    import torch

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


def _onnx(path: Path, inputs: list[str], outputs: list[str], device: str) -> Callable[[list[Any]], list[Any]]:
    import onnxruntime

    cuda = [("CUDAExecutionProvider", {"device_id": int(device.partition(":")[2])})] if device != "cpu" else []
    session: Any = onnxruntime.InferenceSession(path, providers=[*cuda, "CPUExecutionProvider"])
    return lambda arrays: session.run(outputs, dict(zip(inputs, arrays, strict=True)))


def _with_weights(folder: Path) -> Any:
    """Return the user's module, made by their own function, with the weights that were exported."""
    from safetensors.torch import load_model

    made = json.loads((folder / "module.json").read_text())
    package, _, function = made["entry"].partition(":")
    module = getattr(import_module(package), function)(made["settings"])
    load_model(module, folder / "model.safetensors")
    return module
