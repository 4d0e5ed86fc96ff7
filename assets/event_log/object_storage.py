"""The log on an object store that speaks S3 and knows conditional put (`If-None-Match: *`)."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from dyadlog.assets.event_log.storage import LocalStorage
from dyadlog.schemas.errors import UserError

_MISTAKES = {
    "NoSuchBucket": "there is no such bucket",
    "AccessDenied": "access denied; check the credentials and the bucket's policy",
    "InvalidAccessKeyId": "access denied; check the credentials",
    "SignatureDoesNotMatch": "access denied; check the credentials",
}
# 404: there is no such object. 412: the name is taken. 409: another writer of the same name is at it; ask again.
_ANSWERS = ("NoSuchKey", "404", "PreconditionFailed", "ConditionalRequestConflict")
_ATTEMPTS = 5


class _AnswerError(Exception):
    """The store does not do it, for a reason that is part of the protocol."""

    def __init__(self, code: str) -> None:
        self.code = code


class ObjectStorage:
    """A place in a bucket. The methods are those of `Storage`.

    The store acknowledges an object when it is durable, and of two writers of one name it turns one away; so
    there is nothing to settle and no lock. Credentials, region and endpoint are found as boto3 finds them.

    Args:
        address: `s3://bucket/prefix`.
        copies: local folder for copies of what Parquet readers open; may be thrown away.

    Raises:
        UserError: boto3 is not installed.
    """

    def __init__(self, address: str, copies: Path) -> None:
        try:
            import boto3
            from botocore.config import Config
        except ImportError:
            raise UserError(f"{address} needs one more package: pip install 'dyadlog[s3]'") from None
        self._address = address
        self._bucket, _, prefix = address.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._copies = LocalStorage(copies)
        with self._told(""):
            self._client: Any = boto3.client("s3", config=Config(retries={"mode": "standard"}))

    def put(self, name: str, data: bytes) -> bool:
        """See `Storage.put`."""
        for _ in range(_ATTEMPTS):
            try:
                with self._told(name):
                    self._client.put_object(**self._at(name), Body=data, IfNoneMatch="*")
            except _AnswerError as answer:
                if answer.code == "PreconditionFailed":
                    # Perhaps it was us: an answer that is lost on the way makes boto3 ask again.
                    return self.read(name) == data
            else:
                return True
        raise OSError(errno.EBUSY, "another writer is at it all the time", f"{self._address}/{name}")

    def read(self, name: str) -> bytes:
        """See `Storage.read`."""
        try:
            with self._told(name):
                data: bytes = self._client.get_object(**self._at(name))["Body"].read()
        except _AnswerError:
            raise FileNotFoundError(
                errno.ENOENT, "there is no such object", f"{self._address}/{name}"
            ) from None
        return data

    def exists(self, name: str) -> bool:
        """See `Storage.exists`."""
        try:
            with self._told(name):
                self._client.head_object(**self._at(name))
        except _AnswerError:
            return False
        return True

    def names(self, prefix: str) -> list[str]:
        """See `Storage.names`."""
        found: list[str] = []
        with self._told(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=f"{self._prefix}{prefix}/", Delimiter="/"
            )
            for page in pages:
                found += [item["Key"].removeprefix(self._prefix) for item in page.get("Contents", ())]
        return sorted(found)

    def remove(self, name: str) -> None:
        """See `Storage.remove`. A bucket that keeps versions keeps this one until its own rules remove it."""
        with self._told(name):
            self._client.delete_object(**self._at(name))
        self._copies.remove(name)

    def remove_unfinished(self) -> None:
        """See `Storage.remove_unfinished`: a put is whole or not at all; only local copies can be half-written."""
        self._copies.remove_unfinished()

    def locate(self, name: str) -> str:
        """See `Storage.locate`: a local copy, fetched once. Objects never change, so a copy is never stale."""
        if not self._copies.exists(name):
            self._copies.put(name, self.read(name))
        return self._copies.locate(name)

    def settle(self, prefix: str) -> None:
        """See `Storage.settle`."""

    def writing(self) -> AbstractContextManager[None]:
        """See `Storage.writing`."""
        return nullcontext()

    def _at(self, name: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": f"{self._prefix}{name}"}

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """Turn what boto3 raises into an answer, a person's mistake or a failure."""
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

        try:
            yield
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _MISTAKES:
                raise UserError(f"{self._address}: {_MISTAKES[code]}") from None
            if code not in _ANSWERS:
                raise OSError(
                    errno.EIO, f"the object store answers {code}", f"{self._address}/{name}"
                ) from None
            raise _AnswerError(code) from None
        except (NoCredentialsError, NoRegionError) as error:
            raise UserError(
                f"{self._address}: {type(error).__name__}; set them as for the AWS command line"
            ) from None
        except BotoCoreError as error:
            raise OSError(
                errno.EIO, f"no answer from the object store ({type(error).__name__})", self._address
            ) from None
