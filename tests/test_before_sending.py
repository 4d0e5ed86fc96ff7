"""The site's own check says what the centre will say: the same digest, the same page, before anything is sent."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dyadlog.assets.event_log.records import Commit
from dyadlog.assets.intake.files import Landed
from dyadlog.assets.intake.reading import Readers, read_file
from dyadlog.assets.intake.receive import open_log, receive
from dyadlog.assets.quality.report import gather, night_of, write_site_reports
from dyadlog.assets.simulation.score import run_nights
from dyadlog.assets.simulation.simulate import Plan, simulate
from dyadlog.schemas.simulation import Parameters
from dyadlog.schemas.study import Study, read_study
from tests.conftest import LONG, Lab, client, phq, session

SITES, CLIENTS, NIGHTS, LEVEL = (8, 240, 20, "realistic") if LONG else (3, 40, 6, "nasty")
MUTANTS = 200 if LONG else 24

FileOf = Callable[[Commit], Path]


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("box")
    plan = Plan(seed=7, sites=SITES, clients=CLIENTS, nights=NIGHTS, faults=LEVEL)
    simulate(folder, Parameters(), plan)
    return folder


def checked(study: Study, commits: list[Commit], folder: Path) -> Iterator[tuple[Commit, str]]:
    """What the site is told of each file that the centre has received."""
    with closing(Readers(study)) as readers:
        for commit in commits:
            path = folder / "landing" / commit.receipt.site_id / commit.receipt.file_name
            landed = Landed(commit.receipt.site_id, path, path.stat().st_size, (0, 0, 0))
            yield commit, read_file(study, landed, readers).receipt.verdict_digest


def test_every_delivery_has_the_digest_of_the_check(box: Path) -> None:
    study, log = run_nights(box)
    commits = log.commits()
    kinds = {commit.kind for commit in commits}
    assert {"delivery", "duplicate_delivery"} <= kinds
    assert sum(commit.receipt.held_back for commit in commits) > 10
    assert sum(commit.receipt.duplicate for commit in commits) > 10
    for commit, digest in checked(study, commits, study.folder):
        assert commit.receipt.verdict_digest == digest, commit.receipt


def flip(data: bytes, dice: random.Random) -> bytes:
    place = dice.randrange(len(data))
    return data[:place] + bytes([dice.randrange(256)]) + data[place + 1 :]


def cut(data: bytes, dice: random.Random) -> bytes:
    return data[: dice.randrange(len(data))]


def twice(data: bytes, dice: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join([*lines, dice.choice(lines), *dice.sample(lines, len(lines) // 3)])


def shuffled(data: bytes, dice: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join(dice.sample(lines, len(lines)))


def mixed_up(data: bytes, dice: random.Random) -> bytes:
    """Another digit, sign or quotation mark in some lines."""
    text = bytearray(data)
    for _ in range(dice.randint(1, 12)):
        text[dice.randrange(len(text))] = ord(dice.choice('019-,;"{}:.x\n'))
    return bytes(text)


def renamed(data: bytes, dice: random.Random) -> bytes:
    """Names of fields or columns, and codes, as another export would write them."""
    words = sorted(set(re.findall(rb"[a-z_]{5,}", data)))
    for word in dice.sample(words, min(3, len(words))):
        data = data.replace(word, word.upper(), dice.randint(1, 5))
    return data


def recoded(data: bytes, dice: random.Random) -> bytes:
    encoding = dice.choice(["utf-16", "latin-1", "utf-8-sig", "cp1252"])
    return (data.decode("utf-8", "replace") + "ü").encode(encoding, "replace")


MUTATIONS = (flip, cut, twice, shuffled, mixed_up, renamed, recoded)


def mutate(path: Path, dice: random.Random) -> bytes:
    """The bytes of a delivery, spoilt; of a compressed one the text or the packed bytes."""
    data = path.read_bytes()
    mutation = dice.choice(MUTATIONS)
    if path.suffix != ".gz" or (mutation in (flip, cut) and dice.random() < 0.3):
        return mutation(data, dice)
    try:
        text = gzip.decompress(data)
    except (OSError, EOFError):
        return flip(data, dice)
    return gzip.compress(mutation(text, dice), mtime=0) if text else data


def test_mutated_deliveries_have_the_digest_of_the_check(box: Path, tmp_path: Path) -> None:
    dice = random.Random(2026)
    originals = sorted(path for path in (box / "landing").rglob("*.*") if path.stat().st_size > 200)
    copy = tmp_path / "study"
    shutil.copytree(box, copy, ignore=shutil.ignore_patterns("landing", "truth", "scored"))
    for number in range(MUTANTS):
        path = originals[number % len(originals)]
        target = copy / "landing" / path.parent.name / f"{number:03d}-{path.name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(mutate(path, dice))
    study = read_study(copy)
    log = open_log(study)
    assert sum(1 for _ in receive(study, log)) == MUTANTS
    found = list(checked(study, log.commits(), copy))
    assert [commit.receipt for commit, digest in found if commit.receipt.verdict_digest != digest] == []
    # the mutants are of all kinds, and their verdicts differ
    assert {commit.kind for commit, _ in found} >= {"delivery", "rejected_file"}
    assert len({code for commit, _ in found for code in commit.receipt.codes}) > 8
    assert len({digest for _, digest in found}) > MUTANTS // 2


def test_the_digest_tells_other_verdicts_and_other_bytes_apart(lab: Lab) -> None:
    lab.drop("site-a", "1.ndjson", [client(), session(1)])
    lab.drop("site-b", "1.ndjson", [client(), session(1)])
    lab.drop("site-a", "2.ndjson", [client(), session(2)])
    lab.drop("site-a", "3.ndjson", [client(), phq(1, [0, 1, 2, 3, 9, 0, 0, 0, 0])])
    commits = lab.receive()
    assert len({commit.receipt.verdict_digest for commit in commits}) == 4
    study = lab.folder / "study.yaml"
    study.write_text(study.read_text().replace("site-c}", "site-c}, {id: site-d}"))
    same = list(checked(lab.study, commits, lab.folder))
    assert all(commit.receipt.verdict_digest == digest for commit, digest in same), (
        "rules that change no verdict"
    )


def test_the_check_writes_the_page_of_the_centre(lab: Lab, dyadlog, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    bad = phq(1, [0, 1, 2, 3, 9, 0, 0, 0, 0])
    path = tmp_path / "site-a" / "export.ndjson"
    path.parent.mkdir()
    path.write_text("".join(json.dumps(e) + "\n" for e in [client(), session(1), bad]))
    before = sorted(lab.folder.rglob("*"))
    told = dyadlog("check", path, "-s", lab.folder, "--report", tmp_path / "page")
    assert (told.code, str(tmp_path / "page/index.html") in told.out) == (1, True)
    assert sorted(lab.folder.rglob("*")) == before
    lab.drop("site-a", "export.ndjson", path.read_bytes())
    built = lab.night()
    gathered = gather(lab.study, built.path, night_of(built.path), sites=["site-a"])
    (page_of_the_centre,) = write_site_reports(gathered)
    night = page_of_the_centre.with_name("report.json")
    centre, own = json.loads(night.read_text()), json.loads((tmp_path / "page/report.json").read_text())
    assert own["before_sending"] is True
    assert own["files"][0]["verdict_digest"] == centre["files"][0]["verdict_digest"]
    assert own["files"][0]["verdict_digest"] in told.out
    (card,) = own["todo"]
    (same,) = [one for one in centre["todo"] if one["code"] == card["code"]]
    assert (card["code"], card["n"], card["fix"]) == ("ANSWER_OUT_OF_RANGE", 1, same["fix"])
    page = (tmp_path / "page/index.html").read_text()
    assert "Check before sending" in page
    for of_the_whole in ('id="completeness"', 'id="peers"', 'id="changes"', "your receipt", 'href="../'):
        assert of_the_whole not in page, of_the_whole
        assert of_the_whole in night.with_name("index.html").read_text()
    with (tmp_path / "page/corrections.csv").open() as file:
        assert [(row["code"], row["file"], row["line"]) for row in csv.DictReader(file)] == [
            ("ANSWER_OUT_OF_RANGE", "export.ndjson", "3")
        ]
    assert (tmp_path / "page/checks.html").is_file()


def test_a_page_is_about_files_of_one_site(lab: Lab, dyadlog, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    paths = []
    for site, part in (("site-a", "1"), ("site-b", "1"), ("site-a", "2")):
        paths.append(tmp_path / part / site / "x.ndjson")
        paths[-1].parent.mkdir(parents=True)
        paths[-1].write_text("")
    for given, said in ((paths[:2], "several sites"), ([paths[0], paths[2]], "the same name")):
        done = dyadlog("check", *given, "-s", lab.folder, "--report", tmp_path / "page")
        assert (done.code, said in done.err) == (2, True)
    assert not (tmp_path / "page").exists()


QUICKSTART = Path(__file__).parents[1] / "examples" / "quickstart"


def unpacked(script: Path, folder: Path) -> Path:
    """What is packed into the single file."""
    code, told = script.read_text("utf-8").split("if __name__ ==")[0], {"__name__": "file"}
    exec(code, told)
    zipfile.ZipFile(io.BytesIO(base64.b64decode(told["PACKED"]))).extractall(folder)
    return folder


def test_the_single_file_holds_the_rules_of_one_site(dyadlog, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    study = read_study(QUICKSTART)
    for site_id in study.site_ids:
        script = tmp_path / f"{site_id}.py"
        assert dyadlog("check-file", site_id, "-s", QUICKSTART, "-o", script).code == 0
        first = script.read_bytes()
        assert dyadlog("check-file", site_id, "-s", QUICKSTART, "-o", script).code == 0
        assert script.read_bytes() == first
        place = unpacked(script, tmp_path / site_id)
        others = [site for site in study.protocol.sites if site.id != site_id]
        for part in (place / "study").rglob("*.*"):
            assert not [o.id for o in others if o.id in part.read_text() or str(o.name) in part.read_text()]
        own = read_study(place / "study")
        assert (place / "rules").read_text() == study.rules_digest
        files = sorted((QUICKSTART / "landing" / site_id).iterdir())
        with closing(Readers(study)) as centre, closing(Readers(own)) as site:
            for path in files:
                landed = Landed(site_id, path, path.stat().st_size, (0, 0, 0))
                said = [
                    read_file(rules, landed, readers).receipt.verdict_digest
                    for rules, readers in ((study, centre), (own, site))
                ]
                assert said[0] == said[1], path
    wrong = dyadlog("check-file", "site-99", "-s", QUICKSTART, "-o", tmp_path / "x.py")
    assert (wrong.code, "site-99: no site of this study" in wrong.err) == (2, True)


def test_the_single_file_runs_by_itself(dyadlog, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """In an environment with the packages that it names, without Dyadlog and what else the centre needs."""
    study = read_study(QUICKSTART)
    site_id = next(site.id for site in study.protocol.sites if site.mappings)
    script = tmp_path / "dyadlog-check.py"
    assert dyadlog("check-file", site_id, "-s", QUICKSTART, "-o", script).code == 0
    needs = re.findall(r'^#   "([\w-]+)', script.read_text("utf-8"), re.MULTILINE)
    assert {"duckdb", "polars", "pydantic"} <= set(needs)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True)
    packages = next((tmp_path / "env/lib").glob("python3*/site-packages"))
    # The libraries come from this environment; its own editable `dyadlog` does not (a .pth does not nest).
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\nimport absent\n")
    (packages / "absent.py").write_text(
        "import sys\n"
        "for name in ('dagster', 'great_expectations', 'matplotlib', 'hypothesis', 'pytest'):\n"
        "    sys.modules[name] = None\n"
    )
    files = sorted((QUICKSTART / "landing" / site_id).iterdir())[:4]
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "DYADLOG"))}
    done = subprocess.run(
        [str(tmp_path / "env/bin/python"), str(script), *map(str, files), "--report", "page"],
        cwd=tmp_path,
        env=clean,
        capture_output=True,
        text=True,
        check=False,
    )
    here = dyadlog("check", *files, "-s", QUICKSTART, "--site", site_id)
    assert (done.returncode, done.stderr) == (here.code, "")
    assert done.stdout.startswith(here.out)
    assert study.rules_digest[:12] in (tmp_path / "page/index.html").read_text("utf-8")


@pytest.mark.long
@pytest.mark.skipif(shutil.which("uv") is None, reason="no uv here")
def test_uv_runs_the_single_file(dyadlog, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """With the packages of an index."""
    script = tmp_path / "dyadlog-check.py"
    site_id = read_study(QUICKSTART).site_ids[0]
    assert dyadlog("check-file", site_id, "-s", QUICKSTART, "-o", script).code == 0
    path = min((QUICKSTART / "landing" / site_id).iterdir())
    command = ["uv", "run", "--no-project", "--isolated", str(script), str(path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert dyadlog("check", path, "-s", QUICKSTART, "--site", site_id).out == done.stdout
