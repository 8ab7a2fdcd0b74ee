"""Gaps of S3."""

import json

from asking import Aws, name, refused

from falaj.lab.state import REGION


def a_bucket_is_created_with_its_tags(aws: Aws) -> bool:
    s3, bucket = aws.client("s3"), name()
    for tags in ([{"Key": "one", "Value": "1"}], [{"Key": "two", "Value": "2"}, {"Key": "none", "Value": ""}]):
        configuration = {"LocationConstraint": REGION, "Tags": tags}
        s3.create_bucket(Bucket=f"{bucket}-{len(tags)}", CreateBucketConfiguration=configuration)
        if s3.get_bucket_tagging(Bucket=f"{bucket}-{len(tags)}")["TagSet"] != tags:
            return False
    return True


def a_condition_that_does_not_hold_denies_nothing(aws: Aws) -> bool:
    s3, bucket = aws.client("s3"), name()
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject"}
    statements = [
        {**deny, "Resource": f"arn:aws:s3:::{bucket}/*", "Condition": {"NumericLessThan": {"s3:TlsVersion": "1.2"}}},
        {**deny, "Resource": f"arn:aws:s3:::{bucket}/closed"},
    ]
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    if not refused(lambda: s3.put_object(Bucket=bucket, Key="closed", Body=b""), "403", "PutObject"):
        return False
    return not refused(lambda: s3.put_object(Bucket=bucket, Key="open", Body=b""), "403", "PutObject")


GAPS = [
    a_bucket_is_created_with_its_tags,
    a_condition_that_does_not_hold_denies_nothing,
]
