"""The storage under the log: the same contract on a file system and on an object store (a real S3 API on loopback)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dyadlog.assets.event_log.object_storage import ObjectStorage
from dyadlog.assets.event_log.storage import LocalStorage, Storage
from dyadlog.assets.event_log.verify import verify
from dyadlog.assets.intake.receive import open_log
from dyadlog.schemas.errors import UserError
from tests.conftest import STUDY, Lab, client, phq, session

BUCKET = "dyadlog"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    running = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def s3(server: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    import boto3

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    api = boto3.client("s3")
    api.create_bucket(Bucket=BUCKET)
    return api


@pytest.fixture(params=["file system", "object store"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "file system":
        return LocalStorage(tmp_path / "log")
    request.getfixturevalue("s3")
    return ObjectStorage(f"s3://{BUCKET}/{tmp_path.name}", tmp_path / "copies")


def test_put_takes_a_name_once(storage: Storage) -> None:
    assert storage.put("a/b", b"first")
    assert not storage.put("a/b", b"second")
    assert storage.read("a/b") == b"first"
    assert storage.exists("a/b")
    assert not storage.exists("a")


def test_what_is_not_there(storage: Storage) -> None:
    assert not storage.exists("a/b")
    assert storage.names("a") == []
    with pytest.raises(FileNotFoundError):
        storage.read("a/b")


def test_names_are_sorted_and_of_one_folder(storage: Storage) -> None:
    for name in ("a/2", "a/1", "a/b/3", "c/4"):
        storage.put(name, b"x")
    assert storage.names("a") == ["a/1", "a/2"]


def test_readers_of_parquet_get_a_file(storage: Storage) -> None:
    storage.put("segments/x", b"bytes")
    for _ in range(2):
        assert Path(storage.locate("segments/x")).read_bytes() == b"bytes"


def test_of_many_writers_of_one_name_one_wins(storage: Storage) -> None:
    for number in range(5):
        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(lambda i, n=number: storage.put(f"race/{n}", b"%d" % i), range(8)))
        assert sum(won) == 1
        assert storage.read(f"race/{number}") == b"%d" % won.index(True)


def test_a_put_whose_answer_was_lost_is_known_as_ours(s3: Any, tmp_path: Path) -> None:
    storage = ObjectStorage(f"s3://{BUCKET}/lost", tmp_path)
    real, lost = storage._client.put_object, []

    def put(**what: Any) -> Any:
        real(**what)
        lost.append(what["Key"])
        return real(**what)  # what boto3 does when no answer comes

    storage._client.put_object = put
    assert storage.put("commits/1", b"ours")
    assert lost == ["lost/commits/1"]
    assert not storage.put("commits/1", b"theirs")


def test_more_names_than_one_answer_holds(s3: Any, tmp_path: Path) -> None:
    for number in range(1_005):
        s3.put_object(Bucket=BUCKET, Key=f"many/commits/{number:04d}", Body=b"")
    assert len(ObjectStorage(f"s3://{BUCKET}/many", tmp_path).names("commits")) == 1_005


def deliver_to(lab: Lab) -> None:
    lab.drop("site-a", "1.ndjson", [client(), session(1), phq(1, 2)])
    lab.drop("site-b", "1.ndjson", [client(), session(1), {"event_id": "broken"}])


def test_nights_on_an_object_store_give_the_same_marts(s3: Any, tmp_path: Path) -> None:
    here, there = (
        Lab(tmp_path / "here"),
        Lab(tmp_path / "there", f"{STUDY}log_storage: s3://{BUCKET}/night\n"),
    )
    for lab in (here, there):
        deliver_to(lab)
    assert there.night().digest == here.night().digest
    assert not (there.folder / "log").exists()
    assert there.receive() == []
    assert verify(open_log(there.study)) == 2
    deliver_to(there)
    there.drop("site-c", "2.ndjson", [client()])
    assert len(there.receive()) == 1


def test_two_nights_at_once_on_an_object_store(s3: Any, tmp_path: Path) -> None:
    lab = Lab(tmp_path / "study", f"{STUDY}log_storage: s3://{BUCKET}/race\n")
    for number in range(6):
        lab.drop("site-a", f"{number}.ndjson", [client(), session(number + 1)])
    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(lab.receive) for _ in range(3)]:
            done.result()
    log = open_log(lab.study)
    assert verify(log) == 6
    assert sum(c.receipt.accepted for c in log.commits()) == 7


def test_mistakes_and_failures_are_said_in_one_sentence(s3: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^s3://nowhere/x: there is no such bucket$"):
        ObjectStorage("s3://nowhere/x", tmp_path).put("a", b"")
    lab = Lab(tmp_path / "study", f"{STUDY}log_storage: s3://{BUCKET}/off\n")
    done = subprocess.run(
        [sys.executable, "-m", "dyadlog.orchestration.cli", "verify", "-s", str(lab.folder)],
        env={**os.environ, "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert (
        done.stderr
        == f"error: s3://{BUCKET}/off: no answer from the object store (EndpointConnectionError)\n"
    )
