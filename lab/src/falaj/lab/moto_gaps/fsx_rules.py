"""What FSx for Lustre accepts, and where the lab keeps what moto does not.

https://docs.aws.amazon.com/fsx/latest/LustreGuide/using-fsx-lustre.html
"""

from moto.core.exceptions import JsonRESTError
from moto.fsx.exceptions import FileSystemNotFound
from moto.fsx.models import FileSystem, FSxBackend

from falaj.lab.moto_gaps.kept import Kept
from falaj.lab.moto_gaps.kept import kept as kept_of

LUSTRE = "LUSTRE"
THROUGHPUTS = {"PERSISTENT_1": (12, 40, 50, 100, 200), "PERSISTENT_2": (125, 250, 500, 1000)}
"""Megabytes per second and TiB, by kind."""
EFA_STEPS = {125: 38400, 250: 19200, 500: 9600, 1000: 4800}
"""GiB whose multiples a file system with EFA has, by its throughput."""
NOT_PERSISTENT_2 = {"AutoImportPolicy", "ExportPath", "ImportPath", "ImportedFileChunkSize"}


def kept(system: FileSystem) -> Kept:
    """Return what is kept of a file system besides moto's own; it is written down with it."""
    return vars(system).setdefault("kept", {})


def links_of(backend: FSxBackend) -> dict[str, Kept]:
    """Return the data repository associations, by id."""
    return kept_of(backend, "links")


def system_of(backend: FSxBackend, identifier: str) -> FileSystem:
    """Return a file system, or answer that it is not there."""
    try:
        return backend.file_systems[identifier]
    except KeyError:
        raise FileSystemNotFound(identifier) from None


def refuse(message: str, code: str = "BadRequest") -> JsonRESTError:
    """Return the refusal of a request."""
    return JsonRESTError(code, message)


def check_new(given: Kept) -> None:
    """Refuse a file system that FSx does not make."""
    lustre: Kept = given.setdefault("LustreConfiguration", {})
    if len(given.get("SubnetIds", [])) != 1:
        raise refuse("A Lustre file system lies in exactly one subnet.")
    if lustre.get("DeploymentType") == "PERSISTENT_2":
        for name in sorted(NOT_PERSISTENT_2 & lustre.keys()):
            raise refuse(f"{name} is not supported for PERSISTENT_2; use a data repository association.")
        if given.get("FileSystemTypeVersion") == "2.10":
            raise refuse("Lustre 2.10 is not supported for PERSISTENT_2.")
    check_throughput(lustre)
    check_capacity(given.get("StorageCapacity", 0), lustre, first=True)


def check_throughput(lustre: Kept) -> None:
    """Refuse a throughput that the kind does not have."""
    known = THROUGHPUTS.get(lustre.get("DeploymentType", "SCRATCH_1"))
    if known and lustre.get("PerUnitStorageThroughput") not in known:
        message = f"PerUnitStorageThroughput must be one of {', '.join(map(str, known))}."
        raise refuse(message, "InvalidPerUnitStorageThroughput")


def check_capacity(gib: int, lustre: Kept, *, first: bool = False) -> None:
    """Refuse a capacity of SSD storage that the kind does not have; only a new file system may be as small as 1200."""
    throughput = lustre.get("PerUnitStorageThroughput", 0)
    if lustre.get("DeploymentType") == "PERSISTENT_1" and throughput in (12, 40):
        return
    step = 3600 if lustre.get("DeploymentType", "SCRATCH_1") == "SCRATCH_1" else 2400
    if lustre.get("EfaEnabled"):
        if "MetadataConfiguration" not in lustre:
            raise refuse("EFA needs a metadata configuration.")
        step, first = EFA_STEPS[throughput], False
    if gib <= 0 or (gib % step and not (first and gib in (1200, 2400))):
        raise refuse(f"The storage capacity must be a multiple of {step} GiB{' or 1200 GiB' * first}.")


def metadata_iops(gib: int) -> int:
    """Return the metadata operations per second that a capacity has by itself.

    https://docs.aws.amazon.com/fsx/latest/LustreGuide/managing-metadata-performance.html
    """
    for up_to, iops in ((1200, 1500), (2400, 3000), (9600, 6000), (45600, 12000)):
        if gib <= up_to:
            return iops
    return 12000 * -(-gib // 24000)
