"""What moto holds in memory, as one file that survives: every backend of every service, in one pickle.

One pickle for all services, because their objects refer to each other and must stay the same object after a restart.
What moto brings itself (the catalogue of AWS managed policies) is left out while nobody has touched it, and large S3
objects are kept beside the pickle, each written once under the name of its digest.
"""

import copyreg
import functools
import hashlib
import importlib
import io
import json
import marshal
import pickle
import platform
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import CellType, FunctionType
from typing import Any

import moto
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from moto.backends import get_backend
from moto.core.base_backend import AccountSpecificBackend, BackendDict
from moto.core.model_instances import reset_model_data
from moto.ec2.models import vpcs
from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, IAMBackend
from moto.moto_api._internal import mock_random
from moto.s3.models import FakeKey
from moto.utilities.utils import get_partition

from falaj.lab.errors import LabError
from falaj.lab.state import write_private

INLINE_BYTES = 64 * 1024
# Lambdas are kept as byte code, which belongs to one minor version of Python; objects belong to one version of moto.
WRITER = {"format": 1, "moto": moto.__version__, "python": ".".join(platform.python_version_tuple()[:2])}

_Reduced = tuple[Any, ...]
Answers = OrderedDict[str, "Answer"]


@dataclass(frozen=True)
class Answer:
    """One HTTP answer, kept with the state that it tells of."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes


class CannotKeepError(Exception):
    """A service holds something that cannot be written down; the message says what."""


class MotoState:
    """The file that holds moto's state, and the folder of large S3 objects beside it."""

    def __init__(self, folder: Path):
        self._file = folder / "moto.state"
        self._objects = folder / "objects"
        self._kinds: set[type] = set()
        try:
            self._objects.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise LabError(f"cannot make {self._objects}: {error.strerror}; choose another --state DIR") from error

    def dump(self, answers: Answers) -> bytes:
        """Return every backend, and ``answers``, as the bytes of the next state; nothing may change moto meanwhile."""
        buffer = io.BytesIO()
        pickler = _Pickler(buffer, self._objects)
        try:
            pickler.dump((_backends(), vpcs.DEFAULT_VPC_ENDPOINT_SERVICES, answers))
            body = buffer.getvalue()
            if not pickler.kinds <= self._kinds:
                # Some classes can be pickled and not read again: each is tried once, before anything relies on it.
                _Unpickler(io.BytesIO(body), self._objects).load()
                reset_model_data()  # moto would keep every object of the try alive, for its dashboard
                self._kinds |= pickler.kinds
        except LabError:
            raise
        except Exception as error:  # what a class raises that cannot be written or read is its own choice
            raise CannotKeepError(f"the lab cannot write down what moto made of this: {error}") from error
        return json.dumps(WRITER | {"sha256": hashlib.sha256(body).hexdigest()}).encode() + b"\n" + body

    def write(self, dump: bytes) -> None:
        """Make ``dump`` the state: whole or not at all."""
        write_private(self._file, dump)

    def load(self) -> Answers:
        """Put moto into the state on disk and return the answers kept with it; whatever moto held before is dropped."""
        for service in _services():
            service.clear()
        _services().clear()
        vpcs.DEFAULT_VPC_ENDPOINT_SERVICES.clear()
        _catalogue.cache_clear()  # its policies count what they are attached to
        if not self._file.exists():
            return OrderedDict()
        backends, endpoint_services, answers = self._read()
        for (service, account, region), backend in backends.items():
            dict.__setitem__(get_backend(service)[account], region, backend)
        vpcs.DEFAULT_VPC_ENDPOINT_SERVICES.update(endpoint_services)
        return answers

    def _read(self) -> tuple[Any, Any, Any]:
        header, _, body = self._file.read_bytes().partition(b"\n")
        remedy = "forget the lab's state with `falaj-lab reset`"
        try:
            written = json.loads(header)
            digest = written.pop("sha256")
        except (ValueError, KeyError, AttributeError) as error:
            raise LabError(f"{self._file} is not a state of the emulated AWS; {remedy}") from error
        if written != WRITER:
            raise LabError(
                f"{self._file} was written by {_said(written)}, this is {_said(WRITER)}; go back, or {remedy}"
            )
        if hashlib.sha256(body).hexdigest() != digest:
            raise LabError(f"{self._file} is damaged; {remedy}")
        unpickler = _Unpickler(io.BytesIO(body), self._objects)
        try:
            loaded = unpickler.load()
        except OSError as error:
            raise LabError(f"{error.filename}, the content of an S3 object, is missing; {remedy}") from error
        for leftover in self._objects.iterdir():
            if leftover.name not in unpickler.used:
                leftover.unlink()
        return loaded


def backend_names() -> set[tuple[str, str, str]]:
    """Return service, account and region of every backend that moto has made so far, in the partition that is kept."""
    return set(_backends()) | {("vpce-services", "", region) for region in vpcs.DEFAULT_VPC_ENDPOINT_SERVICES}


def use_one_catalogue() -> None:
    """Let every IAM backend share one catalogue of AWS managed policies, with the same ids at each start."""
    IAMBackend._init_aws_policies = _aws_policies  # pyright: ignore  # moto has no switch for this


def _aws_policies(backend: IAMBackend) -> list[AWSManagedPolicy]:
    return list(_catalogue(backend.account_id).values()) if backend.partition == "aws" else []


@functools.cache
def _catalogue(account: str) -> dict[str, AWSManagedPolicy]:
    before = mock_random.getstate()
    mock_random.seed("the same policy ids at each start")
    policies = json.loads(aws_managed_policies_data)
    made = {name: AWSManagedPolicy.from_data(name, account, "aws", data) for name, data in policies.items()}
    mock_random.setstate(before)
    return made


def _backends() -> dict[tuple[str, str, str], Any]:
    return {
        (_service(service), account, region): backend
        for service in _services()
        for account, region, backend in service.iter_backends()
        if get_partition(region) == "aws"
    }


def _services() -> list[BackendDict[Any]]:
    return BackendDict._instances  # pyright: ignore  # moto's own list of what is in use, made for its reset


def _service(backends: BackendDict[Any] | AccountSpecificBackend[Any]) -> str:
    return backends.backend.__module__.split(".")[1]


def _said(writer: dict[str, Any]) -> str:
    return f"moto {writer.get('moto')} on Python {writer.get('python')} (format {writer.get('format')})"


class _Pickler(pickle.Pickler):
    """Pickles moto's objects: C speed for the many plain ones, a reducer for the few that need one."""

    def __init__(self, file: io.BytesIO, objects: Path):
        super().__init__(file, protocol=5)
        self._objects = objects
        self.kinds: set[type] = set()

    def reducer_override(self, value: Any, /) -> Any:
        """Return how to rebuild ``value``, or NotImplemented for the usual way."""
        self.kinds.add(type(value))
        if type(value) is FakeKey:
            return self._s3_object(value)
        reducer = _reducer(type(value))
        return reducer(value) if reducer else NotImplemented

    def _s3_object(self, key: FakeKey) -> _Reduced:
        state = {name: value for name, value in vars(key).items() if name not in {"_value_buffer", "lock"}}
        buffer = key._value_buffer  # pyright: ignore[reportPrivateUsage]  # closed once moto has disposed of the object
        if buffer.closed or key.contentsize <= INLINE_BYTES:
            state["value"] = b"" if buffer.closed else key.value
            return copyreg.__newobj__, (FakeKey,), state  # pyright: ignore
        # moto never changes an object's content, only replaces the object: the digest stays true.
        digest = state.get("_digest")
        if digest is None:
            content = key.value
            digest = state["_digest"] = key._digest = hashlib.sha256(content).hexdigest()  # pyright: ignore
            write_private(self._objects / digest, content)
        state["value"] = _Content(digest)
        return copyreg.__newobj__, (FakeKey,), state  # pyright: ignore


class _Unpickler(pickle.Unpickler):
    """Reads what ``_Pickler`` wrote; the file is the lab's own, writable by its owner alone."""

    def __init__(self, file: io.BytesIO, objects: Path):
        super().__init__(file)
        self._objects = objects
        self.used: set[str] = set()

    def find_class(self, module: str, name: str, /) -> Any:
        """Return the class or function that the pickle names; ours reads from this state's folder."""
        return self._content if name == _content.__name__ and module == __name__ else super().find_class(module, name)

    def _content(self, digest: str) -> bytes:
        self.used.add(digest)
        return (self._objects / digest).read_bytes()


@dataclass(frozen=True)
class _Content:
    """The content of a large S3 object: in the pickle its digest, after reading the bytes."""

    digest: str

    def __reduce__(self) -> _Reduced:
        return _content, (self.digest,)


def _content(digest: str) -> bytes:
    raise AssertionError(f"{digest} is read by the unpickler")


@functools.cache
def _reducer(kind: type) -> Callable[[Any], Any] | None:
    if issubclass(kind, (RSAPrivateKey, EllipticCurvePrivateKey)):
        return _private_key
    reducers: dict[type, Callable[[Any], Any]] = {
        BackendDict: _service_backends,
        AccountSpecificBackend: _account_backends,
        AWSManagedPolicy: _managed_policy,
        FunctionType: _function,
        type(threading.Lock()): _lock,
        type(threading.RLock()): _lock,
    }
    usual = kind in {dict, defaultdict} or issubclass(kind, OrderedDict) or not issubclass(kind, dict)
    return reducers.get(kind) or (None if usual else _mapping)


def _service_backends(backends: BackendDict[Any]) -> _Reduced:
    return get_backend, (_service(backends),)


def _account_backends(backends: AccountSpecificBackend[Any]) -> _Reduced:
    return _of_account, (_service(backends), backends.account_id)


def _of_account(service: Any, account: str) -> AccountSpecificBackend[Any]:
    return get_backend(service)[account]


def _mapping(mapping: dict[Any, Any]) -> _Reduced:
    # Past the class's own methods: S3's store of versions shows the latest alone, others need arguments to be made.
    state = (dict.copy(mapping), vars(mapping), getattr(mapping, "default_factory", None))
    return copyreg.__newobj__, (type(mapping),), state, None, None, _fill_mapping  # pyright: ignore


def _fill_mapping(mapping: Any, state: tuple[dict[Any, Any], dict[str, Any], Any]) -> None:
    items, attributes, factory = state
    dict.update(mapping, items)
    vars(mapping).update(attributes)
    if factory:
        mapping.default_factory = factory


def _lock(lock: Any) -> _Reduced:
    return (threading.RLock if isinstance(lock, type(threading.RLock())) else threading.Lock), ()


def _private_key(key: RSAPrivateKey | EllipticCurvePrivateKey) -> _Reduced:
    return _make_private_key, (key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),)


def _make_private_key(der: bytes) -> Any:
    return load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)  # our own: checking takes 50 ms a key


def _managed_policy(policy: AWSManagedPolicy) -> Any:
    touched = policy.attachment_count or policy.tags or len(policy.versions) > 1
    return NotImplemented if touched else (_from_catalogue, (policy.account_id, policy.name))


def _from_catalogue(account: str, name: str) -> AWSManagedPolicy:
    return _catalogue(account)[name]


def _function(function: FunctionType) -> Any:
    if "<locals>" not in function.__qualname__:
        return NotImplemented
    cells = tuple(cell.cell_contents for cell in function.__closure__ or ())
    code = marshal.dumps(function.__code__)
    return _make_function, (code, function.__module__, function.__name__, function.__defaults__, cells)


def _make_function(
    code: bytes, module: str, name: str, defaults: tuple[Any, ...] | None, cells: tuple[Any, ...]
) -> Any:
    closure = tuple(CellType(value) for value in cells)
    return FunctionType(marshal.loads(code), vars(importlib.import_module(module)), name, defaults, closure)  # noqa: S302  # our own file
