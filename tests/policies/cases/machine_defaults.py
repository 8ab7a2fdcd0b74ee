"""What an account gives its machines: what passes, what fails, and what cannot be decided."""

from policies.making import simple

from falaj.policies.values import UNKNOWN

DEFAULTS = "aws:ec2/instanceMetadataDefaults:InstanceMetadataDefaults"

CASES = [
    simple(
        "FJ-EC2-010",
        "aws:ebs/encryptionByDefault:EncryptionByDefault",
        {},
        {"enabled": False},
        {"enabled": UNKNOWN},
    ),
    simple(
        "FJ-EC2-011",
        DEFAULTS,
        {"httpTokens": "required", "httpPutResponseHopLimit": 1.0},
        {"httpTokens": "no-preference", "httpPutResponseHopLimit": 1.0},
        {"httpTokens": UNKNOWN, "httpPutResponseHopLimit": 1.0},
    ),
    *(
        simple("FJ-EC2-012", type_, {"state": sound}, {"state": "unblocked"}, {"state": UNKNOWN})
        for type_, sound in (
            ("aws:ebs/snapshotBlockPublicAccess:SnapshotBlockPublicAccess", "block-all-sharing"),
            ("aws:ec2/imageBlockPublicAccess:ImageBlockPublicAccess", "block-new-sharing"),
        )
    ),
    simple(
        "FJ-EC2-012",
        "aws:ec2/amiLaunchPermission:AmiLaunchPermission",
        {"accountId": "123456789012"},
        {"group": "all"},
        {"group": UNKNOWN},
    ),
    simple(
        "FJ-EC2-012",
        "aws:ec2/snapshotCreateVolumePermission:SnapshotCreateVolumePermission",
        {"accountId": "123456789012"},
        {"accountId": "all"},
        {"accountId": UNKNOWN},
    ),
    simple(
        "FJ-EC2-013",
        "aws:ec2/serialConsoleAccess:SerialConsoleAccess",
        {"enabled": False},
        {},
        {"enabled": UNKNOWN},
    ),
    simple(
        "FJ-EC2-014",
        "aws:ec2/allowedImagesSettings:AllowedImagesSettings",
        {"state": "enabled", "imageCriterions": [{"imageProviders": ["amazon"]}]},
        {"state": "audit-mode", "imageCriterions": [{"imageProviders": ["amazon"]}]},
        {"state": "enabled", "imageCriterions": UNKNOWN},
    ),
]
