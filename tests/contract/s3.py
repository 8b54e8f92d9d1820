"""The kinds of requests that the vault and recon make of their buckets, which keep versions."""

from typing import Any

from tests.contract.recorder import Case, Recorder

_PART = 5 * 1024 * 1024


def objects(call: Recorder) -> None:
    """Written, read, looked for, replaced."""
    call("put_object", Key="contract/a", Body=b"one", ContentType="application/json")
    call("get_object", Key="contract/a")
    call("head_object", Key="contract/a")
    _facts(call, "contract/a")
    call("put_object", Key="contract/a", Body=b"two")
    _facts(call, "contract/a")
    listed = call.client.list_objects_v2(Bucket=call.target, Prefix="contract/a")["Contents"]
    call.answers.append(("objects", [(each["Key"], each["ETag"]) for each in listed]))
    call("get_object", Key="contract/a")
    call("get_object", Key="contract/absent")
    call("head_object", Key="contract/absent")


def _facts(call: Recorder, key: str) -> None:
    """What S3 says of an object without its body."""
    answer = call.client.head_object(Bucket=call.target, Key=key)
    call.answers.append(("facts", [answer[name] for name in ("ContentType", "ContentLength", "ETag")]))


def never_over_another(call: Recorder) -> None:
    """As a recon file; behind a delete marker there is none."""
    for body in (b"one", b"two"):
        call("put_object", Key="contract/once", Body=body, IfNoneMatch="*")
    call("get_object", Key="contract/once")
    call("delete_object", Key="contract/once")
    call("get_object", Key="contract/once")
    call("put_object", Key="contract/once", Body=b"three", IfNoneMatch="*")
    call("get_object", Key="contract/once")


def only_over_the_known(call: Recorder) -> None:
    """As a part of a kept register; where there is none, nothing can be replaced."""
    call("put_object", Key="contract/known", Body=b"one")
    etag = call.client.head_object(Bucket=call.target, Key="contract/known")["ETag"]
    for body in (b"two", b"three"):
        call("put_object", Key="contract/known", Body=body, IfMatch=etag)
    call("get_object", Key="contract/known")
    call("delete_object", Key="contract/known")
    for key in ("contract/known", "contract/never"):
        call("put_object", Key=key, Body=b"four", IfMatch=etag)
        call("get_object", Key=key)


def versions(call: Recorder) -> None:
    """As erasure: every version is listed and deleted for good, delete markers too."""
    for body in (b"one", b"two"):
        call("put_object", Key="contract/v/1", Body=body)
    call("put_object", Key="contract/v/2", Body=b"three")
    call("delete_object", Key="contract/v/2")
    found = _listed(call)
    objects = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
    for each in (each for each in found if each["what"] == "Versions"):
        call.answers.append(
            ("version", call("get_object", **{name: each[name] for name in ("Key", "VersionId")})["Body"])
        )
    call("delete_objects", Delete={"Objects": objects, "Quiet": True})
    _listed(call)
    call("get_object", Key="contract/v/1")
    # Twice is no error.
    call("delete_objects", Delete={"Objects": objects, "Quiet": True})


def _listed(call: Recorder) -> list[Any]:
    found: list[Any] = []
    for page in call.client.get_paginator("list_object_versions").paginate(Bucket=call.target, Prefix="contract/v/"):
        found += [{**each, "what": name} for name in ("Versions", "DeleteMarkers") for each in page.get(name, [])]
    call.answers.append(
        ("listed", sorted((each["Key"], each["what"], each["IsLatest"], each.get("Size")) for each in found))
    )
    return found


def uploads_in_parts(call: Recorder) -> None:
    """As a large recon file: nothing is seen before the end."""
    upload = {"Key": "contract/parts", "UploadId": _begun(call, "contract/parts")}
    parts = [_part(call, upload, 1, b"a" * _PART), _part(call, upload, 2, b"b")]
    call("get_object", Key="contract/parts")
    done = {"MultipartUpload": {"Parts": parts}}
    call("complete_multipart_upload", **upload, **done, IfNoneMatch="*")
    size = len(call.client.get_object(Bucket=call.target, Key="contract/parts")["Body"].read())
    call.answers.append(("size", size))
    _facts(call, "contract/parts")
    call.answers.append(("open", call.client.list_multipart_uploads(Bucket=call.target).get("Uploads", [])))


def _begun(call: Recorder, key: str) -> str:
    begun: str = call("create_multipart_upload", Key=key)["UploadId"]
    return begun


def _part(call: Recorder, upload: dict[str, str], number: int, body: bytes) -> dict[str, Any]:
    answer = call("upload_part", **upload, PartNumber=number, Body=body)
    return {"PartNumber": number, "ETag": answer["ETag"]}


def uploads_that_end_otherwise(call: Recorder) -> None:
    """Given up, and once more; over an object; with a part that is too small."""
    upload = {"Key": "contract/other", "UploadId": _begun(call, "contract/other")}
    parts = [_part(call, upload, 1, b"a"), _part(call, upload, 2, b"b")]
    call("complete_multipart_upload", **upload, MultipartUpload={"Parts": parts})
    call("abort_multipart_upload", **upload)
    call("get_object", Key="contract/other")


def an_upload_that_is_over(call: Recorder) -> None:
    """It cannot be given up again."""
    upload = {"Key": "contract/over", "UploadId": _begun(call, "contract/over")}
    call("abort_multipart_upload", **upload)
    call("abort_multipart_upload", **upload)


def an_upload_over_an_object(call: Recorder) -> None:
    """Nothing is ever overwritten."""
    call("put_object", Key="contract/there", Body=b"first")
    upload = {"Key": "contract/there", "UploadId": _begun(call, "contract/there")}
    parts = [_part(call, upload, 1, b"second")]
    call("complete_multipart_upload", **upload, MultipartUpload={"Parts": parts}, IfNoneMatch="*")
    call("get_object", Key="contract/there")


CASES: tuple[Case, ...] = (
    objects,
    never_over_another,
    only_over_the_known,
    versions,
    uploads_in_parts,
    uploads_that_end_otherwise,
    an_upload_that_is_over,
    an_upload_over_an_object,
)
