"""Data repository associations: which folder of a Lustre file system is which bucket. moto has none.

Nothing is imported or exported: a file system of the lab holds no files.
"""

import json
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.core.utils import unix_time
from moto.fsx.responses import FSxResponse
from moto.moto_api._internal import mock_random
from moto.s3.models import s3_backends

from falaj.lab.moto_gaps.fsx_rules import links_of, refuse, system_of
from falaj.lab.moto_gaps.kept import Kept

MOST = 8
"""Associations that a file system may have."""


class Links(FSxResponse):
    """The operations on data repository associations."""

    def create_data_repository_association(self) -> str:
        """Link a folder to a bucket."""
        given = json.loads(self.body)
        self._check(given)
        identifier = f"dra-{mock_random.get_random_hex(17)}"
        arn = f"arn:{self.partition}:fsx:{self.region}:{self.current_account}:association/"
        link: Kept = {
            "AssociationId": identifier,
            "ResourceARN": f"{arn}{given['FileSystemId']}/{identifier}",
            "FileSystemId": given["FileSystemId"],
            "Lifecycle": "AVAILABLE",
            "FileSystemPath": given["FileSystemPath"],
            "DataRepositoryPath": given["DataRepositoryPath"],
            "BatchImportMetaDataOnCreate": given.get("BatchImportMetaDataOnCreate", False),
            "ImportedFileChunkSize": given.get("ImportedFileChunkSize", 1024),
            "S3": given.get("S3", {}),
            "CreationTime": unix_time(),
        }
        links_of(self.fsx_backend)[identifier] = link
        self.fsx_backend.tagger.tag_resource(link["ResourceARN"], given.get("Tags") or [])
        return json.dumps({"Association": self._told(link)})

    def describe_data_repository_associations(self) -> str:
        """Tell of associations: of some by id, or of all that a filter leaves."""
        given = json.loads(self.body)
        found = [self._link(identifier) for identifier in given.get("AssociationIds") or []]
        if not given.get("AssociationIds"):
            found = list(links_of(self.fsx_backend).values())
        for wanted in given.get("Filters") or []:
            if wanted["Name"] == "file-system-id":
                found = [link for link in found if link["FileSystemId"] in wanted["Values"]]
        return json.dumps({"Associations": [self._told(link) for link in found]})

    def update_data_repository_association(self) -> str:
        """Change what is imported and exported by itself."""
        given = json.loads(self.body)
        link = self._link(given["AssociationId"])
        link |= {name: given[name] for name in ("ImportedFileChunkSize", "S3") if name in given}
        return json.dumps({"Association": self._told(link)})

    def delete_data_repository_association(self) -> str:
        """Unlink a folder from its bucket."""
        given = json.loads(self.body)
        link = self._link(given["AssociationId"])
        del links_of(self.fsx_backend)[link["AssociationId"]]
        self.fsx_backend.tagger.delete_all_tags_for_resource(link["ResourceARN"])
        deleted = {"AssociationId": link["AssociationId"], "Lifecycle": "DELETING"}
        return json.dumps(deleted | {"DeleteDataInFileSystem": given.get("DeleteDataInFileSystem", False)})

    def _link(self, identifier: str) -> Kept:
        try:
            return links_of(self.fsx_backend)[identifier]
        except KeyError:
            message = f"Data repository association {identifier} does not exist."
            raise JsonRESTError("DataRepositoryAssociationNotFound", message) from None

    def _told(self, link: Kept) -> Kept:
        return link | {"Tags": self.fsx_backend.list_tags_for_resource(link["ResourceARN"])}

    def _check(self, given: Kept) -> None:
        system = system_of(self.fsx_backend, given["FileSystemId"])
        lustre: Kept = system.lustre_configuration or {}
        if lustre.get("DeploymentType", "SCRATCH_1") == "SCRATCH_1":
            raise refuse("Data repository associations are not supported for SCRATCH_1.", "UnsupportedOperation")
        if lustre.get("AutomaticBackupRetentionDays"):
            raise refuse("A file system with automatic backups cannot be linked to a data repository.")
        path, repository = given.get("FileSystemPath"), given["DataRepositoryPath"]
        if not path:
            raise refuse("FileSystemPath is missing.")
        scheme, _, rest = repository.partition("://")
        buckets: Any = s3_backends[self.current_account][self.partition].buckets
        if scheme != "s3" or rest.split("/")[0] not in buckets:
            raise refuse(f"Amazon FSx cannot reach the data repository {repository}.")
        others = [one for one in links_of(self.fsx_backend).values() if one["FileSystemId"] == system.file_system_id]
        if len(others) >= MOST:
            raise refuse(f"A file system has at most {MOST} data repository associations.", "ServiceLimitExceeded")
        for other in others:
            if _overlap(path, other["FileSystemPath"]) or _overlap(repository, other["DataRepositoryPath"]):
                raise refuse("Data repository associations cannot overlap.")


def _overlap(one: str, other: str) -> bool:
    """Say whether one path lies in the other."""
    first, second = (path.rstrip("/") + "/" for path in (one, other))
    return first.startswith(second) or second.startswith(first)
