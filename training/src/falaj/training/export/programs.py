"""Exported programs: a torch.export archive, or ONNX.

Neither holds more than the model. Left alone, torch writes the examples that a model was exported with into the
archive, and the paths and lines of the user's code into both; examples may be confidential data.
"""

import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.export import Dim, ExportedProgram
from torch.fx import GraphModule

from falaj.training.errors import RefusedError
from falaj.training.export.section import ExportSection
from falaj.training.export.served import Served, Tensors

_LARGEST_ONNX = 2**31 - 2**20  # what protobuf holds in one file, less room for the graph


def program(module: nn.Module, examples: Tensors, section: ExportSection) -> ExportedProgram:
    """Export a module for batches of any size up to the largest; raise `RefusedError` where torch cannot follow it."""
    served = Served(module, section)
    batch = Dim("batch", min=1, max=section.max_batch) if section.max_batch > 1 else None
    given = tuple(each if batch else each[:1] for each in (examples[table.name] for table in section.inputs))
    shapes = tuple({0: batch, **{place + 1: Dim.DYNAMIC for place in each.varying}} for each in section.inputs)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about its own insides
            made = torch.export.export(served, given, dynamic_shapes=(shapes,), strict=False)
    except Exception as error:
        remedy = "must be python with python_runs weights: torch.export cannot follow this module"
        raise RefusedError("export.format", section.format, f"{remedy} ({_first_line(error)})") from error
    return _bare(made)


def save_program(exported: ExportedProgram, path: Path) -> None:
    """Write a torch.export archive."""
    torch.export.save(exported, path)


def save_onnx(exported: ExportedProgram, path: Path, section: ExportSection) -> None:
    """Write ONNX; raise `RefusedError` where a module has no form in it."""
    import onnx  # noqa: PLC0415 - only for this format

    size = sum(each.nbytes for each in exported.state_dict.values())
    if size > _LARGEST_ONNX:
        raise RefusedError("export.format", section.format, f"must be torch-export: {size} bytes are too many for ONNX")
    # It says at each export that operators of torchvision are left out where that is not installed.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made: Any = torch.onnx.export(
                exported,
                dynamo=True,
                opset_version=section.opset,
                input_names=[each.name for each in section.inputs],
                output_names=[each.name for each in section.outputs],
                verbose=False,
            )
    except Exception as error:
        remedy = "must be another: this module has no form in ONNX; torch-export needs none"
        raise RefusedError("export.format", section.format, f"{remedy} ({_first_line(error)})") from error
    model = made.model_proto
    _strip(model.graph)
    for function in model.functions:
        _strip(function)
    onnx.checker.check_model(model)
    opset = next(each.version for each in model.opset_import if each.domain in ("", "ai.onnx"))
    if opset != section.opset:
        raise RefusedError("export.opset", section.opset, f"must be {opset}: torch writes no other here")
    path.write_bytes(model.SerializeToString(deterministic=True))


def _bare(exported: ExportedProgram) -> ExportedProgram:
    exported.example_inputs = None
    for part in exported.graph_module.modules():
        if isinstance(part, GraphModule):
            for node in part.graph.nodes:
                node.meta.pop("stack_trace", None)
    return exported


def _strip(graph: Any) -> None:
    """Leave only what is computed: no names of the user's classes, no lines of their code."""
    for part in (*graph.node, *graph.value_info, *getattr(graph, "input", ()), *getattr(graph, "output", ())):
        if hasattr(part, "metadata_props"):
            del part.metadata_props[:]
        for attribute in getattr(part, "attribute", ()):
            for inner in (attribute.g, *attribute.graphs):
                if inner.node:
                    _strip(inner)
    if hasattr(graph, "metadata_props"):
        del graph.metadata_props[:]


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
