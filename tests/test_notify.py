"""Messages about a night: to a file, by e-mail, to a web address; real servers on this machine, and what must not be said."""

from __future__ import annotations

import json
import re
import ssl
from datetime import UTC, date, datetime, timedelta
from email import message_from_string
from email.policy import default
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dyadlog.assets.erasure.derived import clear_pages
from dyadlog.assets.quality import twin
from dyadlog.assets.quality.notice import FORMAT, Item, Notice
from dyadlog.orchestration.heartbeat import beat, miss
from dyadlog.orchestration.notify import notify
from dyadlog.orchestration.reports import write_reports
from dyadlog.orchestration.runs import Run, add_run, failed_since, missed, read_runs
from dyadlog.orchestration.watch import Watcher
from dyadlog.schemas.errors import StudyError
from dyadlog.schemas.study import read_study
from tests.conftest import STUDY, Lab, client
from tests.servers import MailServer, WebServer, certificate, running

NOTICE = Notice(
    format=FORMAT,
    study="lab",
    simulated=True,
    outcome="completed",
    needs_attention=True,
    night="2026-03-14-000001",
    headline="1 of 3 sites delivered.",
    needs=[Item("late", "site-b", "Late: last delivery on 4 April 2026, 21 days ago.")],
    needs_total=1,
)
SCHEMA = json.loads(Path(twin.__file__).with_name("notice.schema.json").read_bytes())


def lab_with(folder: Path, **hooks: list[dict[str, Any]]) -> Lab:
    return Lab(folder / "study", STUDY + yaml.safe_dump({"notify": hooks}))


def mail(server: MailServer, **more: Any) -> dict[str, Any]:
    return {
        "server": "localhost" if server.tls else "127.0.0.1",
        "port": server.server_address[1],
        "security": "none",
        "sender": "dyadlog@example.org",
        "recipients": ["data@example.org", "lead@example.org"],
        "timeout_seconds": 5,
        **more,
    }


def sent(tmp_path: Path, **hooks: list[dict[str, Any]]) -> list[str]:
    """Send a message, return what could not be sent."""
    return notify(lab_with(tmp_path, **hooks).study, NOTICE)


@pytest.mark.parametrize(
    ("outcome", "attention", "told"),
    [
        ("completed", False, {"always"}),
        ("nothing_new", False, {"always"}),
        ("completed", True, {"always", "attention"}),
        ("failed", True, {"always", "attention", "failure"}),
    ],
)
def test_who_is_told_of_what(outcome: Any, attention: bool, told: set[str]) -> None:
    notice = Notice(FORMAT, "lab", False, outcome, attention, None, "x", [], 0)
    assert {when for when in ("failure", "attention", "always") if notice.is_for(when)} == told


# --- web address ------------------------------------------------------------------------------


def test_a_web_address_gets_json_with_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_TOKEN", "open sesame")
    with running(WebServer()) as server:
        url = f"http://127.0.0.1:{server.server_address[1]}/hook"
        monkeypatch.setenv("HOOK_URL", url)
        assert (
            sent(tmp_path, webhooks=[{"url": url, "token_env": "HOOK_TOKEN"}, {"url_env": "HOOK_URL"}]) == []
        )
    (headers, body), (bare, again) = server.posts
    assert headers["Authorization"] == "Bearer open sesame"
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert "Authorization" not in bare
    assert body == again
    told = json.loads(body)
    jsonschema.validate(told, SCHEMA)
    assert (told["simulated"], told["needs"][0]["site_id"]) == (True, "site-b")
    assert "sesame" not in (tmp_path / "study/study.yaml").read_text()


@pytest.mark.parametrize(
    ("server", "why"),
    [
        ({"code": 500}, "the server answered with code 500"),
        ({"code": 302}, "the server answered with code 302"),
        ({"slow": 1.5}, "no answer in time"),
    ],
)
def test_a_web_address_that_fails_is_told_in_our_words(
    tmp_path: Path, server: dict[str, Any], why: str
) -> None:
    with running(WebServer(**server)) as there:
        url = f"http://127.0.0.1:{there.server_address[1]}/hook?key=secret"
        assert sent(tmp_path, webhooks=[{"url": url, "timeout_seconds": 0.5}]) == [
            f"notify.webhooks[0] could not be sent: {why}."
        ]
    # Nothing is sent on to where an answer points.
    assert b"GET" not in [body for _, body in there.posts]


def test_nobody_there_and_a_missing_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOT_SET", raising=False)
    monkeypatch.setenv("NO_ADDRESS", "file:///etc/passwd")
    with running(WebServer()) as gone:
        url = f"http://127.0.0.1:{gone.server_address[1]}/"
    hooks = [{"url": url}, {"url": url, "token_env": "NOT_SET"}, {"url_env": "NO_ADDRESS"}]
    assert sent(tmp_path, webhooks=hooks) == [
        "notify.webhooks[0] could not be sent: Connection refused.",
        "notify.webhooks[1] could not be sent: the variable NOT_SET of the environment is not set.",
        "notify.webhooks[2] could not be sent: the variable NO_ADDRESS of the environment holds no https address.",
    ]


# --- e-mail -----------------------------------------------------------------------------------


def test_an_e_mail_says_what_needs_a_human(tmp_path: Path) -> None:
    with running(MailServer()) as server:
        assert sent(tmp_path, emails=[mail(server)]) == []
    (kept,) = server.mails
    assert kept["to"] == ["data@example.org", "lead@example.org"]
    letter = message_from_string(kept["text"], policy=default)
    assert letter["Subject"] == "[simulated] lab: 1 thing needs a human"
    text = letter.get_content()
    assert "* site-b: Late: last delivery on 4 April 2026, 21 days ago." in text
    assert text.startswith("SIMULATED DATA")


def test_a_password_goes_through_tls_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pem = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    monkeypatch.setenv("SMTP_PASSWORD", "open sesame")
    user = {"security": "starttls", "user": "u", "password_env": "SMTP_PASSWORD"}
    with running(MailServer(context)) as server:
        assert sent(tmp_path, emails=[mail(server, **user)]) == [
            "notify.emails[0] could not be sent: the certificate of the server is not trusted."
        ]
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
        assert sent(tmp_path, emails=[mail(server, **user)]) == []
        monkeypatch.setenv("SMTP_PASSWORD", "guess")
        refused = sent(tmp_path, emails=[mail(server, **user)])
    assert refused == ["notify.emails[0] could not be sent: the server refused it with code 535."]
    (kept,) = server.mails
    assert (kept["tls"], kept["user"]) == (True, "u")
    with running(MailServer()) as open_server:
        assert sent(tmp_path, emails=[mail(open_server, **user)]) == [
            "notify.emails[0] could not be sent: the server does not offer what study.yaml asks for."
        ]
    assert open_server.mails == []


@pytest.mark.parametrize(
    ("server", "why", "mails"),
    [
        ({"refuse": "lead@"}, "the server refused some of the recipients", 1),
        ({"refuse": "@example.org"}, "the server refused all recipients", 0),
        ({"slow": 1.5}, "no answer in time", 0),
    ],
)
def test_a_mail_server_that_fails_is_told_in_our_words(
    tmp_path: Path, server: dict[str, Any], why: str, mails: int
) -> None:
    with running(MailServer(**server)) as there:
        failed = sent(tmp_path, emails=[mail(there, timeout_seconds=0.5)])
    assert failed == [f"notify.emails[0] could not be sent: {why}."]
    assert len(there.mails) == mails


# --- study.yaml -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hooks", "says"),
    [
        ({"webhooks": [{"url": "http://example.org/x"}]}, "an address that begins with https://"),
        ({"webhooks": [{"url": "https://u:p@example.org"}]}, "without a name and password"),
        ({"webhooks": [{}]}, "either `url` or `url_env`"),
        ({"webhooks": [{"url_env": "https://hooks.example.org/secret"}]}, "not the secret itself"),
        ({"files": [{"name": "../log/x"}]}, "key `notify.files[0].name`"),
        ({"files": [{"name": "a", "when": "never"}]}, "'failure', 'attention' or 'always'"),
        (
            {"emails": [{"server": "m.example.org", "sender": "x", "recipients": ["a@b.c"]}]},
            "plain e-mail address",
        ),
        (
            {
                "emails": [
                    {"server": "m.example.org", "sender": "a@b.c", "recipients": ["a@b.c"], "user": "u"}
                ]
            },
            "`user` and `password_env` together",
        ),
        (
            {
                "emails": [
                    {
                        "server": "m.example.org",
                        "sender": "a@b.c",
                        "recipients": ["a@b.c"],
                        "user": "u",
                        "password_env": "P",
                        "security": "none",
                    }
                ]
            },
            "where a password is sent to another machine",
        ),
    ],
)
def test_mistakes_in_study_yaml(tmp_path: Path, hooks: dict[str, Any], says: str) -> None:
    lab = lab_with(tmp_path, **hooks)
    with pytest.raises(StudyError) as error:
        read_study(lab.folder)
    (problem,) = error.value.problems
    assert says in problem
    assert problem.startswith("study.yaml:")


def test_no_site_may_bear_the_name_of_the_study_teams_folder(tmp_path: Path) -> None:
    lab = Lab(tmp_path, STUDY.replace("id: site-c", "id: study"))
    with pytest.raises(StudyError, match="another name than study, which the study team's own reports have"):
        read_study(lab.folder)


# --- nights that did not run --------------------------------------------------------------------


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}+00:00")


@pytest.mark.parametrize(
    ("last", "now", "nights"),
    [
        ("03-01T02:01", "03-01T09:00", []),
        ("03-01T02:01", "03-02T02:00", []),  # tonight is on time
        ("03-01T02:01", "03-03T02:00", ["03-02"]),
        ("03-01T02:01", "03-03T01:59", []),  # the night of the second is due, and this is it
        ("03-01T09:00", "03-04T09:00", ["03-02", "03-03"]),
        ("03-01T01:59", "03-02T03:00", ["03-01"]),
    ],
)
def test_nights_that_did_not_run(last: str, now: str, nights: list[str]) -> None:
    runs = [Run(at("01-01T00:00").isoformat(), "completed"), Run(at(last).isoformat(), "failed")]
    assert missed(runs, "02:00", at(now)) == [date.fromisoformat(f"2026-{night}") for night in nights]
    assert missed([], "02:00", at(now)) == []


@given(
    st.integers(0, 23),
    st.integers(0, 59),
    st.integers(1, 40),
    st.lists(st.booleans(), min_size=1, max_size=40),
)
def test_every_night_is_missed_or_run(hour: int, minute: int, late: int, runs_on: list[bool]) -> None:
    """Nights begin on time and last `late` minutes; each that does not run is named on the next that does, once."""
    start = datetime(2026, 3, 1, hour, minute, tzinfo=UTC)
    runs = [Run((start + timedelta(minutes=late)).isoformat(), "completed")]
    named: list[date] = []
    for day, ran in enumerate(runs_on, 1):
        if ran:
            begun = start + timedelta(days=day)
            named += missed(runs, f"{hour:02}:{minute:02}", begun)
            runs.append(Run((begun + timedelta(minutes=late)).isoformat(), "nothing_new"))
    until = max((day for day, ran in enumerate(runs_on, 1) if ran), default=0)
    left = [day for day, ran in enumerate(runs_on, 1) if not ran and day < until]
    assert named == [(start + timedelta(days=day)).date() for day in left]


def test_the_list_of_runs_may_be_damaged_or_lost(lab: Lab) -> None:
    assert read_runs(lab.study) == []
    add_run(lab.study, "completed")
    path = lab.folder / "reports/study/runs.ndjson"
    path.write_text(
        '{"ended_at": "yester\n'
        + '{"ended_at": "2026-03-01T02:00:00", "outcome": "failed"}\n'
        + path.read_text()
    )
    add_run(lab.study, "failed")
    found = read_runs(lab.study)
    assert [run.outcome for run in found] == ["completed", "failed"]
    assert (failed_since(found), failed_since(found[:1]), failed_since([])) == (1, 0, 0)


# --- whole nights -------------------------------------------------------------------------------


def test_nights_tell_those_who_asked(tmp_path: Path, dyadlog: Any) -> None:
    """A good night, one with nothing new after a gap, one that fails; a hook that fails all the time.

    That Dagster and the command line do the same is in test_dagster.py and test_cli.py.
    """
    with running(WebServer(500)) as broken:
        url = f"http://127.0.0.1:{broken.server_address[1]}/"
        files = [{"name": "all.ndjson", "when": "always"}, {"name": "bad.ndjson", "when": "failure"}]
        lab = lab_with(tmp_path, files=files, webhooks=[{"url": url}])
        lab.drop("site-a", "Qx77client.ndjson", [client("Qx77client")])
        lab.drop("site-a", "Qx77client.ndjson.part", b"{")
        lab.clock = datetime.now(UTC) - timedelta(days=8)
        lab.drop("Qx77site", "x.ndjson", b"")
        lab.night()
        write_reports(lab.study, Watcher(), tell=True)
        beat(lab.study, "completed")
        sheet = json.loads((lab.folder / "reports/night.json").read_bytes())
        kinds = [need["kind"] for need in sheet["needs"]]
        assert kinds == ["hook_failed", "never_delivered", "never_delivered", "unfinished", "stranger"]
        assert "Qx77client.ndjson.part" in (lab.folder / "reports/index.html").read_text()

        runs = lab.folder / "reports/study/runs.ndjson"
        long_ago = (datetime.now(UTC) - timedelta(days=5)).isoformat(timespec="seconds")
        runs.write_text(json.dumps({"ended_at": long_ago, "outcome": "completed"}) + "\n")
        status = dyadlog("status", "-s", lab.folder)
        assert re.search(r"[45] nights did not run: .* Has the schedule stopped\?", status.out)
        assert dyadlog("night", "-s", lab.folder).code == 0
        miss(lab.study, "The disk is full.")
    told = [json.loads(line) for line in (lab.folder / "notices/all.ndjson").read_text().splitlines()]
    for one in told:
        jsonschema.validate(one, SCHEMA)
    assert [one["outcome"] for one in told] == ["completed", "nothing_new", "failed"]
    # Five days ago site a had been silent for three days; now it is for eight, and seven are allowed.
    assert [(need["kind"], need["site_id"]) for need in told[1]["needs"]] == [
        ("missed_night", None),
        ("late", "site-a"),
    ]
    assert len((lab.folder / "notices/bad.ndjson").read_text().splitlines()) == 1
    assert [run.outcome for run in read_runs(lab.study)] == ["completed", "nothing_new", "failed"]
    everything = json.dumps(told) + "".join(body.decode() for _, body in broken.posts)
    assert len(broken.posts) == 3
    assert "Qx77" not in everything
    status = dyadlog("status", "-s", lab.folder)
    assert status.code == 1
    assert "The newest night failed: The disk is full. notify.webhooks[0] could not be sent" in status.out
    # The pages of the study team name the files; an erasure reaches them all, and nothing was said elsewhere.
    night = f"reports/study/{told[0]['night']}"
    named = {"reports/index.html", "reports/night.json", f"{night}/index.html", f"{night}/study.json"}
    assert set(clear_pages(lab.study, "Qx77client")) >= named
    for path in [*(lab.folder / "reports").rglob("*.*"), *(lab.folder / "notices").iterdir()]:
        assert "Qx77client" not in path.read_text(), path
