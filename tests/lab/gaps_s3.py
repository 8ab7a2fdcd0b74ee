"""Gaps of S3."""

from asking import Aws, name

from falaj.lab.state import REGION


def a_bucket_is_created_with_its_tags(aws: Aws) -> bool:
    s3, bucket = aws.client("s3"), name()
    for tags in ([{"Key": "one", "Value": "1"}], [{"Key": "two", "Value": "2"}, {"Key": "none", "Value": ""}]):
        configuration = {"LocationConstraint": REGION, "Tags": tags}
        s3.create_bucket(Bucket=f"{bucket}-{len(tags)}", CreateBucketConfiguration=configuration)
        if s3.get_bucket_tagging(Bucket=f"{bucket}-{len(tags)}")["TagSet"] != tags:
            return False
    return True


GAPS = [
    a_bucket_is_created_with_its_tags,
]
