"""Gaps of the detectors: GuardDuty, Security Hub, Macie, Inspector and IAM Access Analyzer."""

from contextlib import suppress
from typing import Any

import boto3
from asking import Aws, name, refused
from gaps_records import bucket

from falaj.lab.state import ACCOUNT, REGION

KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
FSBP = f"arn:aws:securityhub:{REGION}::standards/aws-foundational-security-best-practices/v/1.0.0"
NIST = f"arn:aws:securityhub:{REGION}::standards/nist-800-53/v/5.0.0"


def detector(aws: Aws, **more: Any) -> str:
    """Make the detector, in place of one that was there."""
    guardduty = aws.client("guardduty")
    for each in guardduty.list_detectors()["DetectorIds"]:
        guardduty.delete_detector(DetectorId=each)
    return guardduty.create_detector(Enable=True, **more)["DetectorId"]


def store(aws: Aws) -> str:
    """Make a bucket that GuardDuty may write to; return its ARN."""
    return f"arn:aws:s3:::{bucket(aws, 'guardduty.amazonaws.com')}"


def features(aws: Aws, identifier: str) -> dict[str, Any]:
    found = aws.client("guardduty").get_detector(DetectorId=identifier)["Features"]
    return {each["Name"]: each for each in found}


def there_is_one_detector(aws: Aws) -> bool:
    detector(aws)
    again = aws.client("guardduty").create_detector
    return refused(lambda: again(Enable=True), "BadRequestException", "already exists")


def a_new_detector_tells_its_features(aws: Aws) -> bool:
    found = features(aws, detector(aws))
    on = {name for name, each in found.items() if each["Status"] == "ENABLED"}
    agents = {each["Name"]: each["Status"] for each in found["RUNTIME_MONITORING"]["AdditionalConfiguration"]}
    return {"CLOUD_TRAIL", "S3_DATA_EVENTS", "EKS_AUDIT_LOGS"} <= on and set(agents.values()) == {"DISABLED"}


def a_feature_is_changed_and_the_others_stay(aws: Aws) -> bool:
    identifier, guardduty = detector(aws), aws.client("guardduty")
    agent = {"Name": "EKS_ADDON_MANAGEMENT", "Status": "ENABLED"}
    runtime = {"Name": "RUNTIME_MONITORING", "Status": "ENABLED", "AdditionalConfiguration": [agent]}
    guardduty.update_detector(DetectorId=identifier, Features=[runtime])
    guardduty.update_detector(DetectorId=identifier, Features=[{"Name": "S3_DATA_EVENTS", "Status": "DISABLED"}])
    found = features(aws, identifier)
    agents = {each["Name"]: each["Status"] for each in found["RUNTIME_MONITORING"]["AdditionalConfiguration"]}
    return (
        found["RUNTIME_MONITORING"]["Status"] == "ENABLED"
        and agents["EKS_ADDON_MANAGEMENT"] == "ENABLED"
        and agents["EC2_AGENT_MANAGEMENT"] == "DISABLED"
        and found["S3_DATA_EVENTS"]["Status"] == "DISABLED"
        and found["EKS_AUDIT_LOGS"]["Status"] == "ENABLED"
    )


def a_detector_s_tags_change(aws: Aws) -> bool:
    guardduty, identifier = aws.client("guardduty"), detector(aws, Tags={"one": "1", "two": "2"})
    arn = f"arn:aws:guardduty:{REGION}:{ACCOUNT}:detector/{identifier}"
    guardduty.tag_resource(ResourceArn=arn, Tags={"one": "I"})
    guardduty.untag_resource(ResourceArn=arn, TagKeys=["two"])
    return guardduty.list_tags_for_resource(ResourceArn=arn)["Tags"] == {"one": "I"}


def findings_are_published_to_a_bucket(aws: Aws) -> bool:
    guardduty, identifier, first, second = aws.client("guardduty"), detector(aws), store(aws), store(aws)
    to = {"DestinationArn": first, "KmsKeyArn": KEY}
    of = {"DetectorId": identifier}
    made = guardduty.create_publishing_destination(**of, DestinationType="S3", DestinationProperties=to)
    of["DestinationId"] = made["DestinationId"]
    before = guardduty.describe_publishing_destination(**of)
    guardduty.update_publishing_destination(**of, DestinationProperties={**to, "DestinationArn": second})
    after = guardduty.describe_publishing_destination(**of)["DestinationProperties"]
    guardduty.delete_publishing_destination(**of)
    gone = refused(lambda: guardduty.describe_publishing_destination(**of), "BadRequestException", "invalid values")
    return (
        (before["Status"], before["DestinationProperties"]) == ("PUBLISHING", to)
        and gone
        and after
        == {
            **to,
            "DestinationArn": second,
        }
    )


def findings_are_not_published_to_a_bucket_that_does_not_let_guardduty_write(aws: Aws) -> bool:
    publish, identifier = aws.client("guardduty").create_publishing_destination, detector(aws)

    def to(bucket_name: str) -> bool:
        properties = {"DestinationArn": f"arn:aws:s3:::{bucket_name}", "KmsKeyArn": KEY}
        made = {"DetectorId": identifier, "DestinationType": "S3", "DestinationProperties": properties}
        return refused(lambda: publish(**made), "BadRequestException", "does not have permission")

    return to(name()) and to(bucket(aws, "cloudtrail.amazonaws.com"))


def hub(aws: Aws, **more: Any) -> Any:
    """Turn Security Hub on anew; return the client."""
    securityhub = aws.client("securityhub")
    with suppress(securityhub.exceptions.InvalidAccessException):
        securityhub.disable_security_hub()
    securityhub.enable_security_hub(**more)
    return securityhub


def the_hub_is_turned_on_once(aws: Aws) -> bool:
    securityhub = hub(aws)
    return refused(securityhub.enable_security_hub, "ResourceConflictException", "already subscribed")


def the_hub_s_settings_change(aws: Aws) -> bool:
    securityhub = hub(aws, ControlFindingGenerator="STANDARD_CONTROL", EnableDefaultStandards=False)
    before = securityhub.describe_hub()
    wanted = {"AutoEnableControls": False, "ControlFindingGenerator": "SECURITY_CONTROL"}
    securityhub.update_security_hub_configuration(**wanted)
    after = securityhub.describe_hub(HubArn=before["HubArn"])
    return (before["AutoEnableControls"], before["ControlFindingGenerator"]) == (True, "STANDARD_CONTROL") and {
        name: after[name] for name in wanted
    } == wanted


def a_standard_is_checked_and_no_more(aws: Aws) -> bool:
    securityhub = hub(aws, EnableDefaultStandards=False)
    wanted = [{"StandardsArn": NIST}]
    (made,) = securityhub.batch_enable_standards(StandardsSubscriptionRequests=wanted)["StandardsSubscriptions"]
    arns = [made["StandardsSubscriptionArn"]]
    (found,) = securityhub.get_enabled_standards(StandardsSubscriptionArns=arns)["StandardsSubscriptions"]
    securityhub.batch_disable_standards(StandardsSubscriptionArns=arns)
    left = securityhub.get_enabled_standards()["StandardsSubscriptions"]
    return (found["StandardsArn"], found["StandardsStatus"], left) == (NIST, "READY", [])


def the_hub_comes_with_its_default_standards(aws: Aws) -> bool:
    found = hub(aws).get_enabled_standards()["StandardsSubscriptions"]
    return FSBP in [each["StandardsArn"] for each in found]


def a_standard_that_does_not_exist_is_refused(aws: Aws) -> bool:
    enable, wanted = hub(aws).batch_enable_standards, [{"StandardsArn": f"{NIST}9"}]
    return refused(lambda: enable(StandardsSubscriptionRequests=wanted), "InvalidInputException", "standards")


def macie_off(aws: Aws) -> Any:
    """Turn Macie off, whatever it was; return the client."""
    # Not in the lab's region: AWS does not offer Macie in the UAE, and neither does moto.
    macie = boto3.client(
        "macie2",
        endpoint_url=f"http://127.0.0.1:{aws.port}",
        region_name="eu-central-1",
        aws_access_key_id="lab",
        aws_secret_access_key="lab",
    )
    with suppress(macie.exceptions.AccessDeniedException):
        macie.disable_macie()
    return macie


def macie_is_off_until_it_is_turned_on(aws: Aws) -> bool:
    macie = macie_off(aws)
    return refused(macie.get_macie_session, "AccessDeniedException", "Macie is not enabled")


def macie_is_turned_on_once(aws: Aws) -> bool:
    macie = macie_off(aws)
    macie.enable_macie()
    return refused(macie.enable_macie, "ConflictException", "already")


def macie_s_session_changes(aws: Aws) -> bool:
    macie = macie_off(aws)
    macie.enable_macie(findingPublishingFrequency="SIX_HOURS")
    macie.update_macie_session(findingPublishingFrequency="ONE_HOUR", status="PAUSED")
    found = macie.get_macie_session()
    return (found["findingPublishingFrequency"], found["status"]) == ("ONE_HOUR", "PAUSED")


def macie_writes_what_it_discovers_to_a_bucket(aws: Aws) -> bool:
    macie = macie_off(aws)
    macie.enable_macie()
    before = macie.get_classification_export_configuration()["configuration"]
    wanted = {"s3Destination": {"bucketName": name(), "keyPrefix": "macie", "kmsKeyArn": KEY}}
    macie.put_classification_export_configuration(configuration=wanted)
    after = macie.get_classification_export_configuration()["configuration"]
    macie.put_classification_export_configuration(configuration={})
    return (before, after) == ({}, wanted) and not macie.get_classification_export_configuration()["configuration"]


def an_account_that_never_had_inspector_is_told_to_be_off(aws: Aws) -> bool:
    found = aws.client("inspector2").batch_get_account_status(accountIds=["210987654321"])["accounts"]
    return [each["state"]["status"] for each in found] == ["DISABLED"]


def an_analyzer_is_made_and_told(aws: Aws) -> bool:
    client, made = aws.client("accessanalyzer"), name()
    configuration = {"unusedAccess": {"unusedAccessAge": 30}}
    wanted = {"analyzerName": made, "type": "ACCOUNT_UNUSED_ACCESS", "configuration": configuration}
    arn = client.create_analyzer(**wanted, tags={"one": "1"})["arn"]
    found = client.get_analyzer(analyzerName=made)["analyzer"]
    listed = [each["name"] for each in client.list_analyzers(type="ACCOUNT_UNUSED_ACCESS")["analyzers"]]
    client.delete_analyzer(analyzerName=made)
    gone = refused(lambda: client.get_analyzer(analyzerName=made), "ResourceNotFoundException", made)
    told = (found["arn"], found["status"], found["configuration"], found["tags"])
    return told == (arn, "ACTIVE", configuration, {"one": "1"}) and made in listed and gone


def an_analyzer_s_name_is_taken_once(aws: Aws) -> bool:
    client, wanted = aws.client("accessanalyzer"), {"analyzerName": name(), "type": "ACCOUNT"}
    client.create_analyzer(**wanted)
    return refused(lambda: client.create_analyzer(**wanted), "ConflictException", "already exists")


def an_organization_s_analyzer_needs_one(aws: Aws) -> bool:
    client, wanted = aws.client("accessanalyzer"), {"analyzerName": name(), "type": "ORGANIZATION"}
    return refused(lambda: client.create_analyzer(**wanted), "ValidationException", "You must create an organization")


def an_analyzer_s_tags_change(aws: Aws) -> bool:
    client = aws.client("accessanalyzer")
    arn = client.create_analyzer(analyzerName=name(), type="ACCOUNT", tags={"one": "1", "two": "2"})["arn"]
    client.tag_resource(resourceArn=arn, tags={"one": "I"})
    client.untag_resource(resourceArn=arn, tagKeys=["two"])
    return client.list_tags_for_resource(resourceArn=arn)["tags"] == {"one": "I"}


GAPS = [
    there_is_one_detector,
    a_new_detector_tells_its_features,
    a_feature_is_changed_and_the_others_stay,
    a_detector_s_tags_change,
    findings_are_published_to_a_bucket,
    findings_are_not_published_to_a_bucket_that_does_not_let_guardduty_write,
    the_hub_is_turned_on_once,
    the_hub_s_settings_change,
    a_standard_is_checked_and_no_more,
    the_hub_comes_with_its_default_standards,
    a_standard_that_does_not_exist_is_refused,
    macie_is_off_until_it_is_turned_on,
    macie_is_turned_on_once,
    macie_s_session_changes,
    macie_writes_what_it_discovers_to_a_bucket,
    an_account_that_never_had_inspector_is_told_to_be_off,
    an_analyzer_is_made_and_told,
    an_analyzer_s_name_is_taken_once,
    an_organization_s_analyzer_needs_one,
    an_analyzer_s_tags_change,
]
