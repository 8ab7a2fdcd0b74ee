"""Gaps of KMS: states of keys, rotation periods, imported material, external key stores, and objects under a key."""

import os
from datetime import UTC, datetime, timedelta

from asking import Aws, name, refused
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from falaj.lab.state import REGION

FOREVER = {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}


def key(aws: Aws, **more) -> str:
    return aws.client("kms").create_key(**more)["KeyMetadata"]["KeyId"]


def described(aws: Aws, identifier: str) -> dict:
    return aws.client("kms").describe_key(KeyId=identifier)["KeyMetadata"]


def imported(aws: Aws, identifier: str, material: bytes, **until) -> None:
    kms = aws.client("kms")
    wanted = {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}
    parameters = kms.get_parameters_for_import(KeyId=identifier, **wanted)
    public = load_der_public_key(parameters["PublicKey"])
    wrapped = public.encrypt(material, OAEP(MGF1(SHA256()), SHA256(), None))
    given = {"ImportToken": parameters["ImportToken"], "EncryptedKeyMaterial": wrapped}
    kms.import_key_material(KeyId=identifier, **given, **(until or FOREVER))


def store(aws: Aws, *, connected: bool = True, **more) -> str:
    proxy = {
        "XksProxyConnectivity": "VPC_ENDPOINT_SERVICE",
        "XksProxyUriEndpoint": "https://xks.example",
        "XksProxyUriPath": "/kms/xks/v1",
        "XksProxyVpcEndpointServiceName": f"com.amazonaws.vpce.{REGION}.vpce-svc-0123456789abcdef0",
        "XksProxyAuthenticationCredential": {"AccessKeyId": "A" * 20, "RawSecretAccessKey": "B" * 43},
    }
    kms = aws.client("kms")
    asked = {"CustomKeyStoreName": name(), "CustomKeyStoreType": "EXTERNAL_KEY_STORE", **proxy, **more}
    made = kms.create_custom_key_store(**asked)["CustomKeyStoreId"]
    if connected:
        kms.connect_custom_key_store(CustomKeyStoreId=made)
    return made


def external(aws: Aws, identifier: str, xks_key: str) -> str:
    return key(aws, Origin="EXTERNAL_KEY_STORE", CustomKeyStoreId=identifier, XksKeyId=xks_key)


def a_rotation_has_a_period(aws: Aws) -> bool:
    kms, made = aws.client("kms"), key(aws)
    kms.enable_key_rotation(KeyId=made, RotationPeriodInDays=180)
    first = kms.get_key_rotation_status(KeyId=made)["RotationPeriodInDays"]
    kms.disable_key_rotation(KeyId=made)
    kms.enable_key_rotation(KeyId=made)
    return (first, kms.get_key_rotation_status(KeyId=made)["RotationPeriodInDays"]) == (180, 365)


def a_disabled_key_encrypts_and_decrypts_nothing(aws: Aws) -> bool:
    kms, made = aws.client("kms"), key(aws)
    blob = kms.encrypt(KeyId=made, Plaintext=b"data")["CiphertextBlob"]
    kms.disable_key(KeyId=described(aws, made)["Arn"])
    refusals = [
        lambda: kms.decrypt(CiphertextBlob=blob),
        lambda: kms.encrypt(KeyId=made, Plaintext=b"data"),
        lambda: kms.generate_data_key(KeyId=made, KeySpec="AES_256"),
    ]
    disabled = all(refused(call, "DisabledException", "is disabled") for call in refusals)
    kms.enable_key(KeyId=made)
    return disabled and kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"data"


def a_key_that_awaits_deletion_is_of_no_use_until_it_is_brought_back(aws: Aws) -> bool:
    kms, made = aws.client("kms"), key(aws)
    blob = kms.encrypt(KeyId=made, Plaintext=b"data")["CiphertextBlob"]
    arn = described(aws, made)["Arn"]
    answer = kms.schedule_key_deletion(KeyId=arn, PendingWindowInDays=7)
    calls = [
        lambda: kms.decrypt(CiphertextBlob=blob),
        lambda: kms.enable_key(KeyId=made),
        lambda: kms.schedule_key_deletion(KeyId=made),
    ]
    waits = all(refused(call, "KMSInvalidStateException", "is pending deletion") for call in calls)
    kms.cancel_key_deletion(KeyId=made)
    again = refused(lambda: kms.cancel_key_deletion(KeyId=made), "KMSInvalidStateException", "is not pending deletion")
    kms.enable_key(KeyId=made)
    told = (answer["KeyId"], answer["KeyState"], answer["PendingWindowInDays"]) == (arn, "PendingDeletion", 7)
    return waits and again and told and kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"data"


def an_object_is_read_and_written_only_while_its_key_is_enabled(aws: Aws) -> bool:
    kms, s3, bucket, made = aws.client("kms"), aws.client("s3"), name(), key(aws)
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": described(aws, made)["Arn"]}
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": default}]}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=rules)
    s3.put_object(Bucket=bucket, Key="one", Body=b"data")
    calls = [
        lambda: s3.get_object(Bucket=bucket, Key="one"),
        lambda: s3.put_object(Bucket=bucket, Key="two", Body=b"data"),
        lambda: s3.copy_object(Bucket=bucket, Key="three", CopySource=f"{bucket}/one"),
    ]
    kms.disable_key(KeyId=made)
    disabled = all(refused(call, "KMS.DisabledException", "is disabled") for call in calls)
    kms.schedule_key_deletion(KeyId=made)
    lost = all(refused(call, "KMS.KMSInvalidStateException", "is pending deletion") for call in calls)
    kms.cancel_key_deletion(KeyId=made)
    kms.enable_key(KeyId=made)
    return disabled and lost and s3.get_object(Bucket=bucket, Key="one")["Body"].read() == b"data"


def a_key_without_material_is_of_no_use(aws: Aws) -> bool:
    kms, made = aws.client("kms"), key(aws, Origin="EXTERNAL")
    found = described(aws, made)
    calls = [lambda: kms.encrypt(KeyId=made, Plaintext=b"data"), lambda: kms.enable_key(KeyId=made)]
    useless = all(refused(call, "KMSInvalidStateException", "is pending import") for call in calls)
    return useless and (found["KeyState"], found["Enabled"]) == ("PendingImport", False)


def imported_material_works_and_the_same_comes_again(aws: Aws) -> bool:
    kms, made, material = aws.client("kms"), key(aws, Origin="EXTERNAL"), os.urandom(32)
    imported(aws, made, material)
    blob = kms.encrypt(KeyId=made, Plaintext=b"data")["CiphertextBlob"]
    model = described(aws, made)["ExpirationModel"]
    kms.delete_imported_key_material(KeyId=made)
    gone = refused(lambda: kms.decrypt(CiphertextBlob=blob), "KMSInvalidStateException", "is pending import")
    other = refused(lambda: imported(aws, made, os.urandom(32)), "IncorrectKeyMaterialException", "")
    imported(aws, made, material)
    read = kms.decrypt(CiphertextBlob=blob)["Plaintext"]
    return gone and other and (model, read) == ("KEY_MATERIAL_DOES_NOT_EXPIRE", b"data")


def imported_material_has_a_term(aws: Aws) -> bool:
    made, until = key(aws, Origin="EXTERNAL"), datetime.now(tz=UTC).replace(microsecond=0) + timedelta(days=1)
    imported(aws, made, os.urandom(32), ValidTo=until)
    found = described(aws, made)
    past = {"ValidTo": until - timedelta(days=2)}
    late = refused(lambda: imported(aws, made, os.urandom(32), **past), "ValidationException", "future")
    return late and (found["ExpirationModel"], found["ValidTo"]) == ("KEY_MATERIAL_EXPIRES", until)


def material_is_wrapped_for_its_own_key_and_token(aws: Aws) -> bool:
    kms, made = aws.client("kms"), key(aws, Origin="EXTERNAL")
    wanted = {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}
    token = kms.get_parameters_for_import(KeyId=made, **wanted)["ImportToken"]
    given = {"KeyId": made, "EncryptedKeyMaterial": os.urandom(256), **FOREVER}
    badly = refused(lambda: kms.import_key_material(ImportToken=token, **given), "InvalidCiphertextException", "")
    again = refused(lambda: kms.import_key_material(ImportToken=token, **given), "InvalidImportTokenException", "")
    plain = key(aws)
    return badly and again and refused(lambda: imported(aws, plain, b""), "UnsupportedOperationException", "EXTERNAL")


def what_aws_did_not_make_it_does_not_rotate(aws: Aws) -> bool:
    kms = aws.client("kms")
    keys = key(aws, Origin="EXTERNAL"), external(aws, store(aws), "one")
    return all(
        refused(lambda made=made: kms.enable_key_rotation(KeyId=made), "UnsupportedOperationException", "rotated")
        and not kms.get_key_rotation_status(KeyId=made)["KeyRotationEnabled"]
        for made in keys
    )


def an_external_key_store_is_kept_without_its_secret(aws: Aws) -> bool:
    kms, made = aws.client("kms"), store(aws, connected=False)
    (found,) = kms.describe_custom_key_stores(CustomKeyStoreId=made)["CustomKeyStores"]
    taken = {"connected": False, "CustomKeyStoreName": found["CustomKeyStoreName"]}
    twice = refused(lambda: store(aws, **taken), "CustomKeyStoreNameInUseException", "")
    kms.update_custom_key_store(CustomKeyStoreId=made, XksProxyUriPath="/new/kms/xks/v1")
    (after,) = kms.describe_custom_key_stores(CustomKeyStoreId=made)["CustomKeyStores"]
    proxy, moved = found["XksProxyConfiguration"], after["XksProxyConfiguration"]
    kms.delete_custom_key_store(CustomKeyStoreId=made)
    lost = refused(
        lambda: kms.describe_custom_key_stores(CustomKeyStoreId=made), "CustomKeyStoreNotFoundException", made
    )
    told = (found["ConnectionState"], proxy["Connectivity"], proxy["AccessKeyId"], moved["UriPath"])
    secretless = "BBB" not in str(found)
    return (
        twice
        and lost
        and secretless
        and told
        == (
            *("DISCONNECTED", "VPC_ENDPOINT_SERVICE", "A" * 20),
            "/new/kms/xks/v1",
        )
    )


def a_key_is_made_in_a_store_that_is_connected(aws: Aws) -> bool:
    kms, made = aws.client("kms"), store(aws, connected=False)
    early = refused(lambda: external(aws, made, "one"), "CustomKeyStoreInvalidStateException", "DISCONNECTED")
    kms.connect_custom_key_store(CustomKeyStoreId=made)
    found = described(aws, external(aws, made, "one"))
    twice = refused(lambda: external(aws, made, "one"), "XksKeyAlreadyInUseException", "one")
    kms.disconnect_custom_key_store(CustomKeyStoreId=made)
    full = refused(lambda: kms.delete_custom_key_store(CustomKeyStoreId=made), "CustomKeyStoreHasCMKsException", "")
    told = (found["Origin"], found["CustomKeyStoreId"], found["XksKeyConfiguration"])
    return early and twice and full and told == ("EXTERNAL_KEY_STORE", made, {"Id": "one"})


GAPS = [
    a_rotation_has_a_period,
    a_disabled_key_encrypts_and_decrypts_nothing,
    a_key_that_awaits_deletion_is_of_no_use_until_it_is_brought_back,
    an_object_is_read_and_written_only_while_its_key_is_enabled,
    a_key_without_material_is_of_no_use,
    imported_material_works_and_the_same_comes_again,
    imported_material_has_a_term,
    material_is_wrapped_for_its_own_key_and_token,
    what_aws_did_not_make_it_does_not_rotate,
    an_external_key_store_is_kept_without_its_secret,
    a_key_is_made_in_a_store_that_is_connected,
]
