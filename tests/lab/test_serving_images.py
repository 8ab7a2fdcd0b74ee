"""Which program stands in for which image."""

import json
import sys
from pathlib import Path

import pytest

from falaj.lab.serving import images
from falaj.lab.serving.images import ImageError, launch, repository_of
from falaj.lab.serving.programs import Launch, Program
from falaj.lab.state import Lab

DIGEST = "@sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("image", "repository"),
    [
        ("registry:5000/a/falaj/serving" + DIGEST, "registry:5000/a/falaj/serving"),
        ("nvcr.io/nvidia/tritonserver:24.10-py3", "nvcr.io/nvidia/tritonserver"),
        ("tritonserver", "tritonserver"),
    ],
)
def test_a_repository_is_an_image_without_tag_and_digest(image: str, repository: str) -> None:
    assert repository_of(image) == repository


def test_arguments_go_to_the_program_whether_or_not_the_container_names_it(tmp_path: Path) -> None:
    lab, image = Lab(tmp_path), f"registry.example/falaj/python{DIGEST}"
    assert launch(lab, image, [], ["-c", "1"], "127.1.0.9").command == [sys.executable, "-c", "1"]
    assert launch(lab, image, ["/usr/bin/python", "-c"], ["1"], "127.1.0.9").command == [sys.executable, "-c", "1"]


def test_triton_is_told_to_listen_on_the_address_of_its_pod_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = images.TABLE["tritonserver"]
    found = Program(known.entrypoint, lambda _: Launch(["/opt/tritonserver"], {"A": "1"}), known.binds)
    monkeypatch.setitem(images.TABLE, "tritonserver", found)  # pyright: ignore[reportArgumentType]
    started = launch(
        Lab(tmp_path), f"nvcr.io/nvidia/tritonserver{DIGEST}", [], ["tritonserver", "--http-port=8000"], "127.1.0.9"
    )
    assert started.environment == {"A": "1"}
    assert started.command == [
        *("/opt/tritonserver", "--http-port=8000"),
        *("--http-address=127.1.0.9", "--grpc-address=127.1.0.9", "--metrics-address=127.1.0.9"),
    ]


def test_a_lab_can_be_told_another_program(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.remember(images.PROGRAMS, json.dumps({"falaj/serving": "/venv/bin/falaj-serve --debug"}))
    started = launch(lab, f"registry.example/falaj/serving{DIGEST}", [], ["fetch"], "127.1.0.9")
    assert started.command == ["/venv/bin/falaj-serve", "--debug", "fetch"]


@pytest.mark.parametrize(
    ("image", "command", "why"),
    [
        ("nginx:1", [], "stands in for nginx"),
        ("my-falaj/python", [], "stands in for my-falaj/python"),
        ("falaj/python", ["sh", "-c"], "only python can run here, not sh"),
    ],
)
def test_what_nothing_stands_in_for_is_refused_by_name(
    tmp_path: Path, image: str, command: list[str], why: str
) -> None:
    with pytest.raises(ImageError, match=why):
        launch(Lab(tmp_path), image, command, [], "127.1.0.9")
