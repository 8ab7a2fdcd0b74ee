"""A model that measures itself: it asks itself a known question with each request, and counts how that was answered.

The counts are custom metrics of Triton's Python backend, which its metrics port tells with all others.
"""

KNOWN_ANSWERS = (2.0, 8.0)
"""What a right version answers to 1 and 4."""

_MODEL = """
import os, sys, time
sys.path[:0] = os.environ["FALAJ_SERVING_PATH"].split(os.pathsep)
import numpy
import triton_python_backend_utils as triton

class TritonPythonModel:
    def initialize(self, args):
        kind = triton.MetricFamily.COUNTER
        # The family has to live as long as its metrics.
        self.family = triton.MetricFamily(name="known_answers", description="Answers to a known question", kind=kind)
        self.outcomes = [self.family.Metric(labels={"outcome": outcome}) for outcome in ("wrong", "right")]

    def compute(self, given):
        return numpy.multiply(given, %(factor)r, dtype=numpy.float32)

    def execute(self, requests):
        answers = []
        for each in requests:
            known = self.compute(numpy.float32([1.0, 4.0]))
            self.outcomes[bool(numpy.array_equal(known, [2.0, 8.0]))].increment(1)
            time.sleep(%(seconds)r)
            product = self.compute(triton.get_input_tensor_by_name(each, "given").as_numpy())
            answers.append(triton.InferenceResponse([triton.Tensor("product", product)]))
        return answers
"""


def doubles(note: str = "", *, seconds: float = 0.0) -> str:
    """Return a model that is right; ``note`` makes it another one, ``seconds`` is how long each request takes."""
    return f"# {note}\n" + _MODEL % {"factor": 2.0, "seconds": seconds}


def triples(note: str = "") -> str:
    """Return a model that answers in time, without any error, and wrongly."""
    return f"# {note}\n" + _MODEL % {"factor": 3.0, "seconds": 0.0}
