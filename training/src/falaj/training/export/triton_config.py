"""Triton's description of a model, `config.pbtxt`, in protobuf's text format.

https://github.com/triton-inference-server/common/blob/main/protobuf/model_config.proto
"""

from collections.abc import Iterator

from falaj.training.export.section import ExportSection, TensorTable

_TYPES = {
    "float32": "TYPE_FP32",
    "float16": "TYPE_FP16",
    "float64": "TYPE_FP64",
    "int64": "TYPE_INT64",
    "int32": "TYPE_INT32",
    "int16": "TYPE_INT16",
    "int8": "TYPE_INT8",
    "uint8": "TYPE_UINT8",
    "bool": "TYPE_BOOL",
}
_KINDS = {"auto": "KIND_AUTO", "cpu": "KIND_CPU", "gpu": "KIND_GPU"}


def config(section: ExportSection, name: str) -> str:
    """Return the content of `config.pbtxt`; all names in it are letters, digits and dashes, so none is escaped."""
    lines = [
        f'name: "{name}"',
        'backend: "onnxruntime"' if section.format == "onnx" else 'backend: "python"',
        f"max_batch_size: {section.max_batch}",
        *(line for each in section.inputs for line in _tensor("input", each)),
        *(line for each in section.outputs for line in _tensor("output", each)),
        "dynamic_batching {",
        *([f"  preferred_batch_size: {_list(section.preferred_batch_sizes)}"] if section.preferred_batch_sizes else []),
        f"  max_queue_delay_microseconds: {section.queue_delay_microseconds}",
        "  default_queue_policy {",
        "    timeout_action: REJECT",
        f"    default_timeout_microseconds: {section.queue_timeout_microseconds}",
        "    allow_timeout_override: true",
        f"    max_queue_size: {section.queue_size}",
        "  }",
        "}",
        "instance_group {",
        f"  count: {section.instances}",
        f"  kind: {_KINDS[section.device]}",
        "}",
        *_threads(section),
        f"version_policy {{ specific {{ versions: {_list([section.version])} }} }}",
    ]
    return "\n".join(lines) + "\n"


def labels_file(output: TensorTable) -> str:
    """Return the name of the file that holds an output's labels."""
    return f"labels-{output.name}.txt"


def _tensor(kind: str, tensor: TensorTable) -> Iterator[str]:
    yield f"{kind} {{"
    yield f'  name: "{tensor.name}"'
    yield f"  data_type: {_TYPES[tensor.type]}"
    if tensor.shape:
        yield f"  dims: {_list([each if isinstance(each, int) else -1 for each in tensor.shape])}"
    else:  # Triton knows no tensors without dimensions: on the wire, one number is a list of one
        yield "  dims: [1]"
        yield "  reshape { shape: [] }"
    if tensor.labels:
        yield f'  label_filename: "{labels_file(tensor)}"'
    yield "}"


def _threads(section: ExportSection) -> Iterator[str]:
    """Say how many threads a copy has, by the name that both backends know; copies must not fight for cores.

    Left alone, each copy in the ONNX Runtime backend takes as many threads as the machine has cores, whereas `serve.py`
    counts those that it may use, and its copies.
    """
    several = section.format == "onnx" and section.instances > 1
    if threads := section.threads or (1 if several else None):
        yield f'parameters {{ key: "intra_op_thread_count" value {{ string_value: "{threads}" }} }}'


def _list(numbers: tuple[int, ...] | list[int]) -> str:
    return f"[{', '.join(str(each) for each in numbers)}]"
