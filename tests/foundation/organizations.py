"""The organization of the emulated AWS, which is made once a lab and stays."""

from typing import Any

from botocore.exceptions import ClientError
from examples import Example


def organization_of(example: Example) -> str:
    """Return the id of the lab's organization, with all features; it is made where there is none."""
    organizations: Any = example.aws("organizations")
    try:
        organizations.create_organization(FeatureSet="ALL")
    except ClientError as error:
        if error.response["Error"]["Code"] != "AlreadyInOrganizationException":
            raise
    return organizations.describe_organization()["Organization"]["Id"]
