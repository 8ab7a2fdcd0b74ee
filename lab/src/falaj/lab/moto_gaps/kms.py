"""KMS as the lab serves it: moto's answers, with what it drops kept and with the operations that it lacks."""

from moto.kms import urls

from falaj.lab.moto_gaps.kms_key_stores import KeyStores
from falaj.lab.moto_gaps.kms_keys import judge_use
from falaj.lab.moto_gaps.kms_material import Material
from falaj.lab.moto_gaps.kms_objects import judge_objects


class Kms(KeyStores, Material):
    """All operations of KMS that are served."""


def serve() -> None:
    """Let moto's server answer KMS's requests so, and its S3 mind the keys."""
    judge_use()
    judge_objects()
    urls.url_paths.update(dict.fromkeys(urls.url_paths, Kms.dispatch))
