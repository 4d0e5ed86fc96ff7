"""The commands as people use them: words, exit codes, limits."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from dyadlog.assets.event_log.storage import LocalStorage
from dyadlog.orchestration import cli
from tests.conftest import Lab, client, phq, rating, session

COMMANDS = (
    *("init", "simulate", "score", "night", "check", "sql", "ask", "build", "history", "explain", "status"),
    *("release-held", "void", "expectations", "check-file"),
    *("verify", "restore-check", "catalogue", "instruments", "freeze", "serve", "plot"),
)


def test_help_fits_one_screen_and_every_command_has_an_example(dyadlog) -> None:  # type: ignore[no-untyped-def]
    whole = dyadlog("--help")
    assert whole.code == 0
    assert len(whole.out.splitlines()) <= 40
    for command in COMMANDS:
        assert f"│ {command} " in whole.out
        one = dyadlog(command, "--help")
        assert "Example:" in one.out
        assert len(one.out.splitlines()) <= 40


def test_a_night_from_nothing_to_marts_and_reports(lab: Lab, dyadlog) -> None:  # type: ignore[no-untyped-def]
    lab.drop("site-a", "1.ndjson", [client(), session(1), phq(1, 2), rating(1, 4), {"event_id": "bad"}])
    lab.drop("site-b", "1.csv", "a;b\n")
    done = dyadlog("night", "-s", lab.folder)
    assert done.code == 0, done.err
    assert re.search(r"site-a +1 +5 +4 +0 +1 +0", done.out)
    assert re.search(r"site-b +1 +0 +0 +0 +0 +1", done.out)
    assert re.search(r"site-c +0 +-", done.out)
    assert (lab.folder / "marts/current.duckdb").exists()
    for site in ("site-a", "site-b", "site-c"):
        (page,) = (lab.folder / "reports" / site).glob("*/index.html")
        assert site in page.read_text()
    assert (lab.folder / "reports/index.html").exists()
    quiet = dyadlog("night", "-s", lab.folder)
    assert quiet.code == 0
    assert quiet.out.startswith("Nothing new")
    status = dyadlog("status", "-s", lab.folder)
    assert status.code == 0
    assert "never" in status.out


def test_a_night_with_nothing_new_does_not_load_the_heavy_libraries(lab: Lab, dyadlog) -> None:  # type: ignore[no-untyped-def]
    import subprocess

    lab.drop("site-a", "1.ndjson", [client()])
    assert dyadlog("night", "-s", lab.folder).code == 0
    script = (
        "import sys; from dyadlog.orchestration import cli; sys.argv = ['dyadlog', 'night', '-s', sys.argv[1]]\n"
        "try: cli.main()\nexcept SystemExit: pass\n"
        "print(sorted({'dagster', 'duckdb', 'pandera', 'great_expectations', 'polars'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(lab.folder)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_failed_night_says_so_and_yesterdays_marts_stay(
    lab: Lab,
    dyadlog,
    monkeypatch: pytest.MonkeyPatch,  # type: ignore[no-untyped-def]
) -> None:
    lab.drop("site-a", "1.ndjson", [client(), session(1)])
    with (lab.folder / "study.yaml").open("a") as file:
        file.write("notify: {files: [{name: bad.ndjson, when: failure}]}\n")
    assert dyadlog("night", "-s", lab.folder).code == 0
    assert not (lab.folder / "notices").exists()
    before = lab.rows("select * from meta.build")
    lab.drop("site-a", "2.ndjson", [session(2)])

    def full(self: LocalStorage, name: str, data: bytes) -> bool:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LocalStorage, "put", full)
    failed = dyadlog("night", "-s", lab.folder)
    assert failed.code == 1
    assert "No space left on device: make room and run the night again" in failed.err
    assert "Analysts still see marts/" in failed.err
    assert "Traceback" not in failed.err
    assert lab.rows("select * from meta.build") == before
    (told,) = (lab.folder / "notices/bad.ndjson").read_text().splitlines()
    assert json.loads(told)["outcome"] == "failed"
    status = dyadlog("status", "-s", lab.folder)
    assert status.code == 1
    assert "No space left on device" in status.out
    assert "site-b" in status.out
    assert "Took " in status.out
    monkeypatch.undo()
    monkeypatch.setattr(sys, "argv", [])
    assert len(lab.receive()) == 1


def test_status_is_bad_before_the_first_night_and_when_the_last_one_is_old(lab: Lab, dyadlog) -> None:  # type: ignore[no-untyped-def]
    assert dyadlog("status", "-s", lab.folder).code == 1
    (lab.folder / "state").mkdir(exist_ok=True)
    beat = {"finished_at": "2020-01-01T00:00:00+00:00", "key": "x", "failure": None}
    (lab.folder / "state/last_night.json").write_text(json.dumps(beat))
    old = dyadlog("status", "-s", lab.folder)
    assert old.code == 1
    assert "too old" in old.out


def test_check_says_what_to_fix_and_leaves_nothing_behind(lab: Lab, dyadlog, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "export.ndjson"
    bad = phq(1, [0, 1, 2, 3, 9, 0, 0, 0, 0])
    path.write_text("".join(json.dumps(e) + "\n" for e in [client(), session(1), bad]))
    before = sorted(lab.folder.rglob("*"))
    done = dyadlog("check", path, "-s", lab.folder / "study.yaml", "--site", "site-a")
    assert done.code == 1
    assert "3 lines = 2 good + 1 held back" in done.out
    assert "ANSWER_OUT_OF_RANGE in 1 of 3 (items.5)" in done.out
    assert "Fix:" in done.out
    assert sorted(lab.folder.rglob("*")) == before
    lab.drop("site-a", "export.ndjson", path.read_bytes())
    (commit,) = lab.receive()
    assert commit.receipt.codes == {"ANSWER_OUT_OF_RANGE": 1}, "the centre says the same"


def test_check_asks_for_the_site_when_it_cannot_know(lab: Lab, dyadlog, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "x.ndjson"
    path.write_text("")
    done = dyadlog("check", path, "-s", lab.folder)
    assert done.code == 2
    assert "Add --site with one of: site-a, site-b, site-c" in done.err


@pytest.mark.parametrize("words", [("night",), ("status",), ("sql", "select 1"), ("verify",)])
def test_a_folder_without_study_gets_one_clear_message(
    tmp_path: Path, dyadlog, words: tuple[str, ...]
) -> None:  # type: ignore[no-untyped-def]
    done = dyadlog(*words, "-s", tmp_path / "nowhere")
    assert done.code == 2
    assert done.err.startswith("error: ")
    assert "there is no study here" in done.err
    assert len(done.err.splitlines()) == 1


def test_a_broken_study_gets_a_sentence_per_mistake(lab: Lab, dyadlog) -> None:  # type: ignore[no-untyped-def]
    path = lab.folder / "study.yaml"
    path.write_text(path.read_text().replace("title:", "titel:"))
    done = dyadlog("night", "-s", lab.folder)
    assert done.code == 2
    assert "key `titel` is not a known key" in done.err
    assert "Traceback" not in done.err


def test_sql_answers_as_table_and_as_csv(lab: Lab, dyadlog) -> None:  # type: ignore[no-untyped-def]
    lab.drop("site-a", "1.ndjson", [client(), session(1), session(2, kind="missed")])
    lab.night()
    query = "select status, count(*) as n from marts.session group by all order by 1"
    assert re.search(r"held +1", dyadlog("sql", "-s", lab.folder, query).out)
    assert dyadlog("sql", "-s", lab.folder, "--csv", query).out == "status,n\nheld,1\nmissed,1\n"


@pytest.mark.parametrize(
    "query",
    [
        "create table marts.x as select 1",
        "delete from marts.session",
        "select * from read_text('study.yaml')",
        "select * from read_csv('/etc/passwd')",
        "copy marts.session to 'out.csv'",
        "attach 'other.duckdb'",
        "install httpfs",
        "set enable_external_access = true",
        "selec 1",
    ],
)
def test_sql_reads_the_marts_and_nothing_else(lab: Lab, dyadlog, query: str) -> None:  # type: ignore[no-untyped-def]
    lab.night()
    done = dyadlog("sql", "-s", lab.folder, query)
    assert done.code == 2
    assert done.err.startswith("error: DuckDB does not accept the statement")
    assert "Traceback" not in done.err


def test_verify_tells_a_whole_log_from_a_damaged_one(lab: Lab, dyadlog) -> None:  # type: ignore[no-untyped-def]
    lab.drop("site-a", "1.ndjson", [client()])
    lab.receive()
    whole = dyadlog("verify", "-s", lab.folder)
    assert whole.code == 0
    assert "1 commits, head " in whole.out
    (segment,) = (lab.folder / "log/segments").iterdir()
    segment.write_bytes(segment.read_bytes()[:-1])
    broken = dyadlog("verify", "-s", lab.folder)
    assert broken.code == 1
    assert segment.name in broken.err


def test_lines_are_released_and_deliveries_voided_with_who_and_why(lab: Lab, dyadlog) -> None:  # type: ignore[no-untyped-def]
    lab.drop("site-a", "a.ndjson", [client(), session(1, occurred_at="2026-03-01T10:00:00Z")])
    lab.receive()
    told = ("--by", "A. Bee", "--why", "dates are allowed now", "-s", lab.folder)
    assert "0 of 1 held-back lines released; 1 still do not pass." in dyadlog("release-held", *told).out
    study = lab.folder / "study.yaml"
    study.write_text(study.read_text() + "time_basis: absolute\nlegal_basis: consent\n")
    done = dyadlog("release-held", "site-a", *told)
    assert (done.code, "Commit 2: 1 of 1 held-back lines of site-a/a.ndjson released" in done.out) == (
        0,
        True,
    )
    assert "0 of 0 held-back lines released" in dyadlog("release-held", *told).out
    done = dyadlog("void", "site-a", "1", *told)
    assert done.code == 0
    assert "Commit 3: a.ndjson of site-a counts no longer from the next night on." in done.out
    assert (
        "landing/site-a/a.ndjson stays out while it has this name; to deliver it again, rename it."
        in done.out
    )
    assert "voided in commit 3" in dyadlog("history", "site-a", "enrol-c1", "-s", lab.folder).out
    assert "3 commits" in dyadlog("verify", "-s", lab.folder).out
    for words, message in (
        (("void", "site-a", "1", *told), "1: voided already, in commit 3"),
        (("void", "site-a", "nonsense", *told), "nonsense: no delivery of site-a"),
        (("void", "site-x", "1", *told), "site-x: no site of this study"),
        (("release-held", "site-x", *told), "site-x: no site of this study"),
        (("void", "site-a", "1", "--by", " ", *told[2:]), "--by: expected one line"),
        (("void", "site-a", "1", *told[:2], "--why", "a\nb", *told[4:]), "--why: expected one line"),
    ):
        failed = dyadlog(*words)
        assert (failed.code, message in failed.err) == (2, True), words
    assert dyadlog("void", "site-a", "1", "-s", lab.folder).code == 2  # who and why are needed


def test_the_catalogue_can_be_looked_up(dyadlog) -> None:  # type: ignore[no-untyped-def]
    assert "instrument.completed" in dyadlog("catalogue").out
    assert "payload.duration_minutes" in dyadlog("catalogue", "session.held").out
    assert (
        "version 2: a treatment episode ended; version 1 is read too"
        in dyadlog("catalogue", "treatment.ended").out
    )
    assert dyadlog("catalogue", "nonsense").code == 2


def test_the_registry_of_instruments_is_shown(dyadlog) -> None:  # type: ignore[no-untyped-def]
    listed = dyadlog("instruments")
    assert listed.code == 0
    assert all(name in listed.out for name in ("wai-sr", "oq-45", "iip-32"))
    one = dyadlog("instruments", "core-om")
    assert one.code == 0
    for told in ("mean x 10", "keys [M] reversed 3, 4, 7, 12, 19, 21, 31, 32", "3*", "norm set uk-2002"):
        assert told in one.out
    unknown = dyadlog("instruments", "hamilton")
    assert unknown.code == cli.MISTAKE
    assert unknown.err == (
        "error: hamilton is not a known instrument; `dyadlog instruments` lists all of them\n"
    )


def test_a_simulated_study_goes_through_the_night(dyadlog, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    box = tmp_path / "box"
    made = dyadlog("simulate", box, "--sites", 3, "--clients", 20, "--nights", 1, "--seed", 7, "--night")
    assert made.code == 0, made.err
    assert "3 sites, 20 clients, 3 files. Nobody in it exists." in made.out
    assert "sessions held per course" in made.out
    assert made.err == ""
    assert re.search(r"all +3 +[1-9][\d,]+ +[1-9][\d,]+ +0 +0 +0", made.out)
    assert len([*box.glob("reports/site-*/*/index.html")]) == 3
    assert "| sessions held per course | 9.1 |" in (box / "calibration.md").read_text()
    again = dyadlog("simulate", box)
    assert again.code == cli.MISTAKE
    assert "not empty" in again.err


@pytest.mark.parametrize(
    ("words", "said"),
    [(("--preset", "huge"), "no such preset"), (("--sites", 9, "--clients", 8), "ask for more clients")],
)
def test_a_study_that_cannot_be_simulated_is_not_begun(dyadlog, tmp_path: Path, words, said: str) -> None:  # type: ignore[no-untyped-def]
    done = dyadlog("simulate", tmp_path / "box", *words)
    assert done.code == cli.MISTAKE
    assert said in done.err
    assert not (tmp_path / "box").exists()
