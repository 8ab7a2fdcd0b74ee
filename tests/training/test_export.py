"""Exports are what the module is: at every batch size and length, in every format, or they are refused."""

import importlib
import json
import sys
import tomllib
import types
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import default_collate
from training.export_examples import TEXT, Branching, Mixing, Tabular, section, table, text, trained

from falaj.training.errors import RefusedError
from falaj.training.export.folder import MANIFEST, export
from falaj.training.export.serve import TritonPythonModel
from falaj.training.export.served import captured_inputs, reference
from falaj.training.export.triton_config import config
from falaj.training.export.weights import weights_digest
from falaj.training.lineage.digests import file_digest
from falaj.training.lineage.signatures import FileSigner, new_key
from falaj.training.lineage.signed_models import load_signed


def test_a_tabular_model_is_served_by_onnx_runtime_as_the_module_answers(tmp_path: Path) -> None:
    module, table = trained(), section()
    made = export(module, table, tmp_path / "models")
    folder = tmp_path / "models" / "income-v2"

    session = onnxruntime.InferenceSession(folder / "1" / "model.onnx", providers=["CPUExecutionProvider"])
    for size in (1, 3, 8):
        inputs = torch.randn(size, 6)
        (found,) = session.run(["scores"], {"features": inputs.numpy()})
        expected = reference(module.module, table)({"features": inputs})["scores"]
        np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-5)
    assert (made.name, made.format, made.signed_by) == ("income-v2", "onnx", None)
    assert onnx.load(folder / "1" / "model.onnx").opset_import[0].version == 20
    agreement = json.loads((folder / MANIFEST).read_text())["agreement"]
    assert agreement["batch_sizes"] == [1, 8]
    assert agreement["largest_difference"] <= 1e-5


def test_a_transformer_is_served_at_every_length_and_batch(tmp_path: Path) -> None:
    module, table = text(), section(**TEXT)
    export(module, table, tmp_path / "models")
    folder = tmp_path / "models" / "text"
    agreement = json.loads((folder / MANIFEST).read_text())["agreement"]
    assert agreement["batch_sizes"] == [1, 4, 8]
    assert agreement["lengths"] == {"length": [6, 12]}

    session = onnxruntime.InferenceSession(folder / "1" / "model.onnx", providers=["CPUExecutionProvider"])
    for size, length in ((1, 1), (2, 31), (8, 12)):
        tokens = torch.randint(0, 40, (size, length))
        (found,) = session.run(["logits"], {"tokens": tokens.numpy()})
        expected = reference(module.module, table)({"tokens": tokens})["logits"]
        np.testing.assert_allclose(found, expected.numpy(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("example", "shape", "result"),
    [("training-text/manual", ["length"], ["length", 256]), ("training-tabular/tumours", [30], [2])],
)
def test_the_models_of_the_examples_are_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, example: str, shape: list[int | str], result: list[int | str]
) -> None:
    folder, _, package = example.partition("/")
    place = Path(__file__).parents[2] / "docs" / "examples" / folder
    monkeypatch.syspath_prepend(str(place))
    job = tomllib.loads((place / "job.toml").read_text())
    code = importlib.import_module(package)
    module = code.model(job["model"].get("settings", {}))
    data = code.data(job["data"].get("settings", {}), "validation")
    batch = default_collate([data[n] for n in range(4)])
    kind = "int64" if "length" in shape else "float32"
    served = section(
        inputs=[table("given", shape, type=kind)], outputs=[table("scores", result)], absolute_tolerance=1e-4
    )
    examples = captured_inputs(module, code.score, batch, served)
    made = export(trained(module, examples=examples), served, tmp_path)
    session = onnxruntime.InferenceSession(Path(made.location) / "1" / "model.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(["scores"], {"given": examples["given"].numpy()})
    expected = reference(module, served)(examples)["scores"]
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-3, atol=1e-4)


def test_no_export_holds_the_examples_or_the_users_code(tmp_path: Path) -> None:
    """Examples may be confidential; paths and lines of code are nobody's business."""
    planted = 1234.5678
    for kind in ("onnx", "torch-export"):
        module = trained(examples={"features": torch.full((4, 6), planted)})
        export(module, section(format=kind), tmp_path / kind)
        for path in (path for path in (tmp_path / kind).rglob("*") if path.is_file()):
            contents = [path.read_bytes()]
            if path.suffix == ".pt2":
                with zipfile.ZipFile(path) as archive:
                    contents += [archive.read(name) for name in archive.namelist()]
            for content in contents:
                assert np.float32(planted).tobytes() not in content, path
                assert b"export_examples.py" not in content, path
                assert str(Path(sys.prefix)).encode() not in content, path


@pytest.mark.parametrize("kind", ["onnx", "torch-export"])
def test_the_same_module_is_exported_to_the_same_bytes(tmp_path: Path, kind: str) -> None:
    first, second = (export(trained(), section(format=kind), tmp_path / name) for name in ("a", "b"))
    assert first.digest == second.digest


def test_the_manifest_names_every_file_and_the_signature_covers_it(tmp_path: Path) -> None:
    public = new_key(tmp_path / "key.pem")
    module = trained()
    made = export(
        module,
        section(outputs=[table("scores", [3], labels=["low", "middle", "high"])]),
        tmp_path / "models",
        signer=FileSigner(tmp_path / "key.pem"),
        evidence={"job.toml": b"version = 1\n"},
    )
    loaded = load_signed(Path(made.location), public)
    manifest = json.loads(loaded.read(MANIFEST))
    assert loaded.digest == made.digest
    assert set(manifest["files"]) == {"1/model.onnx", "config.pbtxt", "job.toml", "labels-scores.txt"}
    for name, digest in manifest["files"].items():
        assert file_digest(Path(made.location) / name) == digest
    assert manifest["weights"] == weights_digest(module.module)
    assert manifest["export"]["precision"] == "fp32"
    assert loaded.read("labels-scores.txt") == b"low\nmiddle\nhigh\n"


@pytest.mark.parametrize(
    ("module", "table", "said"),
    [
        (Mixing(), {"outputs": [{"name": "scores", "shape": [6]}]}, "model.entry must not mix examples"),
        (Branching(), {}, "export.format must be python with python_runs weights"),
        (Tabular(), {"outputs": [{"name": "scores", "shape": [4]}]}, r"export.outputs.shape must fit scores"),
        (Tabular(), {"outputs": [{"name": "scores", "shape": [3], "type": "float16"}]}, r"type must be float32"),
        (Tabular(), {"inputs": [{"name": "other", "shape": [6]}]}, "must have the examples' names"),
        (Tabular(), {"inputs": [{"name": "features", "shape": [7]}]}, "export.inputs.shape must fit features"),
        (Tabular(), {"absolute_tolerance": 0, "relative_tolerance": 0, "precision": "fp16"}, "differs at batch size"),
    ],
)
def test_what_would_not_answer_as_the_module_does_is_refused_and_leaves_nothing(
    tmp_path: Path, module: nn.Module, table: dict[str, Any], said: str
) -> None:
    with pytest.raises(RefusedError, match=said):
        export(trained(module), section(**table), tmp_path / "models")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_export_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "models" / "income-v2").mkdir(parents=True)
    with pytest.raises(RefusedError, match="must not be there yet"):
        export(trained(), section(), tmp_path / "models")


def test_one_example_is_too_few_to_compare_on(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="two examples or more"):
        export(trained(examples={"features": torch.ones(1, 6)}), section(), tmp_path / "models")


def test_half_precision_is_within_its_own_tolerance_and_keeps_the_types(tmp_path: Path) -> None:
    half = section(precision="fp16", absolute_tolerance=2e-2, relative_tolerance=1e-2)
    export(trained(), half, tmp_path / "models")
    model = onnx.load(tmp_path / "models" / "income-v2" / "1" / "model.onnx")
    weights = [each for each in model.graph.initializer if len(each.dims) == 2]
    assert {each.data_type for each in weights} == {onnx.TensorProto.FLOAT16}
    ends = [*model.graph.input, *model.graph.output]
    assert {each.type.tensor_type.elem_type for each in ends} == {onnx.TensorProto.FLOAT}


def test_inputs_are_those_that_the_score_gives_the_module() -> None:
    def score(module: nn.Module, batch: Any) -> Any:
        return {"loss": module(batch["x"] * 2).sum()}

    batch = {"x": torch.randn(4, 6)}
    found = captured_inputs(Tabular().eval(), score, batch, section())
    assert torch.equal(found["features"], batch["x"] * 2)
    with pytest.raises(RefusedError, match="must call the module"):
        captured_inputs(Tabular(), lambda *_: {}, batch, section())
    with pytest.raises(RefusedError, match="must name all that the module is called with, 1"):
        captured_inputs(Tabular().eval(), score, batch, section(inputs=[table("a", [6]), table("b", [6])]))


def test_the_digest_of_weights_changes_with_a_single_bit() -> None:
    module = Tabular()
    before = weights_digest(module)
    assert weights_digest(module.eval()) == before
    bits = module.layers[0].weight.detach().view(torch.int32)  # type: ignore[union-attr]
    bits[0, 0] ^= 1
    assert weights_digest(module) != before


class Backend(types.ModuleType):
    """What Triton's Python backend gives a model, as far as it is used: tensors that only speak DLPack."""

    class Tensor:
        def __init__(self, name: str, value: Any) -> None:
            self.name, self.value = name, value

        @classmethod
        def from_dlpack(cls, name: str, value: Any) -> "Backend.Tensor":
            return cls(name, np.from_dlpack(value))

        def __dlpack__(self, **_: Any) -> Any:
            return self.value.__dlpack__()

        def __dlpack_device__(self) -> Any:
            return self.value.__dlpack_device__()

    class TritonError(Exception):
        pass

    class InferenceResponse:
        def __init__(self, outputs: list[Any], error: Any = None) -> None:
            self.outputs, self.error = outputs, error

    @staticmethod
    def get_input_tensor_by_name(request: dict[str, Any], name: str) -> "Backend.Tensor":
        return Backend.Tensor(name, request[name])


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", Backend("triton_python_backend_utils"))
    yield


def served(folder: Path, inputs: list[str], outputs: list[str]) -> Any:
    """The model as the backend loads it: from the copy in the export."""
    space: dict[str, Any] = {"__file__": str(folder / "model.py"), "__name__": "model"}
    exec(compile((folder / "model.py").read_text(), str(folder / "model.py"), "exec"), space)  # noqa: S102 - as it does
    model: TritonPythonModel = space["TritonPythonModel"]()
    names = {"input": [{"name": each} for each in inputs], "output": [{"name": each} for each in outputs]}
    described = {**names, "instance_group": [{"count": 2}]}
    device = {"model_instance_kind": "CPU", "model_instance_device_id": "0"}
    model.initialize({"model_config": json.dumps(described), **device})
    return model


@pytest.mark.parametrize(
    "kind",
    [{"format": "torch-export"}, {"format": "python"}, {"format": "python", "python_runs": "weights"}],
    ids=["torch-export", "python-onnx", "python-weights"],
)
@pytest.mark.usefixtures("backend")
def test_the_python_backend_answers_every_request_as_the_module_does(tmp_path: Path, kind: dict[str, str]) -> None:
    module, table = trained(), section(**kind)
    made = export(module, table, tmp_path / "models")
    model = served(Path(made.location) / "1", ["features"], ["scores"])

    rows = [np.random.default_rng(n).normal(size=(n, 6)).astype(np.float32) for n in (1, 3, 2)]
    odd = np.ones((1, 5), np.float32)
    answers = model.execute([{"features": each} for each in [rows[0], odd, *rows[1:]]])
    assert answers[1].error is not None
    for sent, answer in zip(rows, [answers[0], *answers[2:]], strict=True):
        assert answer.error is None
        expected = reference(module.module, table)({"features": torch.from_numpy(sent)})["scores"].numpy()
        np.testing.assert_allclose(answer.outputs[0].value, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("backend")
def test_a_module_that_no_exporter_can_follow_is_served_by_itself(tmp_path: Path) -> None:
    module = trained(Branching(), entry="branching")
    made = export(module, section(format="python", python_runs="weights"), tmp_path / "models")
    inside = Path(made.location) / "1"
    assert {path.name for path in inside.iterdir()} == {"model.py", "model.safetensors", "module.json"}
    (answer,) = served(inside, ["features"], ["scores"]).execute([{"features": np.ones((2, 6), np.float32)}])
    np.testing.assert_allclose(answer.outputs[0].value, module.module(torch.ones(2, 6)).detach().numpy(), rtol=1e-5)


def test_weights_that_another_module_would_load_are_refused(tmp_path: Path) -> None:
    """The user's function makes another module than the one that was trained."""
    module = trained(Tabular(width=8))
    with pytest.raises((RefusedError, RuntimeError), match="size mismatch"):
        export(module, section(format="python", python_runs="weights"), tmp_path / "models")
    assert not (tmp_path / "models" / "income-v2").exists()


def test_the_description_for_triton_is_whole() -> None:
    given = section(
        inputs=[table("tokens", ["length"], type="int64"), table("weight", [])],
        outputs=[table("scores", [3], labels=["a", "b", "c"]), table("embedding", ["length", 16], type="float16")],
        preferred_batch_sizes=[4, 8],
        queue_delay_microseconds=250,
        queue_size=100,
        instances=2,
        device="gpu",
        version=7,
    )
    assert config(given, "text") == CONFIG


CONFIG = """\
name: "text"
backend: "onnxruntime"
max_batch_size: 8
input {
  name: "tokens"
  data_type: TYPE_INT64
  dims: [-1]
}
input {
  name: "weight"
  data_type: TYPE_FP32
  dims: [1]
  reshape { shape: [] }
}
output {
  name: "scores"
  data_type: TYPE_FP32
  dims: [3]
  label_filename: "labels-scores.txt"
}
output {
  name: "embedding"
  data_type: TYPE_FP16
  dims: [-1, 16]
}
dynamic_batching {
  preferred_batch_size: [4, 8]
  max_queue_delay_microseconds: 250
  default_queue_policy {
    timeout_action: REJECT
    default_timeout_microseconds: 5000000
    allow_timeout_override: true
    max_queue_size: 100
  }
}
instance_group {
  count: 2
  kind: KIND_GPU
}
parameters { key: "intra_op_thread_count" value { string_value: "1" } }
version_policy { specific { versions: [7] } }
"""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"inputs": []}, "at least 1 item"),
        ({"outputs": [{"name": "features", "shape": [3]}]}, "must not share a name"),
        ({"outputs": [{"name": "scores", "shape": ["length"]}]}, "must vary only as an input does"),
        ({"outputs": [{"name": "scores", "shape": [3], "labels": ["a"]}]}, "as many labels"),
        ({"outputs": [{"name": "scores", "shape": [1], "labels": ["a\nb"]}]}, "labels of one line"),
        ({"preferred_batch_sizes": [9]}, "at most max_batch, 8"),
        ({"format": "python", "python_runs": "weights", "precision": "fp16"}, "must be fp32"),
        ({"opset": 9}, "greater than or equal to 18"),
        ({"absolute_tolerance": float("inf")}, "finite"),
        ({"name": 'a"b'}, "pattern"),
        ({"colour": "red"}, "Extra inputs"),
    ],
)
def test_a_table_that_could_not_be_served_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        section(**given)


@given(st.integers(1, 3), st.integers(1, 4), st.integers(0, 3))
@settings(max_examples=40)
def test_requests_together_are_answered_as_each_alone(several: int, rows: int, seed: int) -> None:
    from falaj.training.export.serve import alike, together

    random = np.random.default_rng(seed)
    given = [[random.normal(size=(random.integers(1, rows + 1), 2 + n % 2))] for n in range(several * 2)]
    groups = alike(given)
    assert sorted(place for group in groups for place in group) == list(range(len(given)))
    for group in groups:
        answers = together(lambda inputs: [inputs[0] * 2, inputs[0].sum(1)], [given[place] for place in group])
        for place, (doubled, total) in zip(group, answers, strict=True):
            np.testing.assert_array_equal(doubled, given[place][0] * 2)
            np.testing.assert_array_equal(total, given[place][0].sum(1))
