"""A class's roster, names and file, and what a teacher is told; `tests/broker/test_class.py` has the broker."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from tests.fake_servers import listening, said
from tests.unit.test_management import answer, in_turn
from workq_helpers.broker.ports import free_ports
from workq_helpers.classroom.roster import Learner, Roster, read_roster
from workq_helpers.classroom.teachers_file import Access, TeachersFile
from workq_helpers.classroom.user_names import user_name
from workq_helpers.cli.main import main
from workq_helpers.errors import InvalidArgumentError, UnsupportedBrokerError
from workq_helpers.rabbitmq.administration import Administration
from workq_helpers.rabbitmq.borrowed_virtual_host import lesson_hosts
from workq_helpers.rabbitmq.endpoint import Endpoint

pytestmark = pytest.mark.pinned  # names, files and a made-up server

# -- the roster


def roster(tmp_path: Path, text: str | bytes) -> Roster:
    path = tmp_path / "roster.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_roster(path)


@pytest.mark.parametrize(
    "text",
    [
        "name,login\nAda Lovelace,ada\n李雷,\n",
        "name\tlogin\nAda Lovelace\tada\n李雷\t\n",
        "\ufeffName;Login\r\nAda Lovelace;ada\r\n\r\n李雷;\r\n",
        'email,NAME , login\nx,"Ada   Lovelace",ada\n,,\n,李雷\n',
        '\nname,login,comment\nAda Lovelace,ada,"two\nlines"\n李雷,,\n',
    ],
)
def test_rosters_as_spreadsheets_write_them(tmp_path: Path, text: str) -> None:
    assert roster(tmp_path, text) == Roster([Learner("Ada Lovelace", "ada"), Learner("李雷")], [])


def test_a_name_with_a_comma(tmp_path: Path) -> None:
    assert roster(tmp_path, 'name\n"Lovelace, Ada"\n').learners == [Learner("Lovelace, Ada")]


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("Lovelace, Ada, ada", "Line 3 is left out: it has 3 columns and the first line has 2. Put quotation marks"),
        (" ,somebody", "Line 3 is left out: it has no name."),
        ("bob,other", "Line 3 is left out: 'bob' stands in line 2 already. If they are two people"),
        ("Bobby,BOB", "Line 3 is left out: the login 'BOB' stands in line 2 already, and one of them is wrong."),
        ("x" * 101, "Line 3 is left out: its name has 101 characters"),
        ("A\x00da", "Line 3 is left out: 'A\\x00da' has characters in it that can't be written"),
    ],
)
def test_each_bad_row_gets_a_sentence_and_the_others_count(tmp_path: Path, row: str, complaint: str) -> None:
    learners, complaints = roster(tmp_path, f"name,login\nBob,bob\n{row}\nZoë,\n")
    assert learners == [Learner("Bob", "bob"), Learner("Zoë")]
    (told,) = complaints
    assert told.startswith(complaint)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("first,last\nAda,Lovelace\n", "has no column 'name': its first line is 'first,last'"),
        ("", "has no column 'name': its first line is ''"),
        ('name\n"Ada\nBob\n', "is not CSV: .* in line 3. Does a quotation mark have no partner"),
        ("name\nZoë\n".encode("latin-1"), "is not in UTF-8"),
    ],
)
def test_a_roster_that_is_none(tmp_path: Path, text: str | bytes, seen: str) -> None:
    with pytest.raises(InvalidArgumentError, match=seen):
        roster(tmp_path, text)


# -- names


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Ada Lovelace", "ada-lovelace"),
        ("Müller, Anna", "muller-anna"),
        ("Łukasz Öß", "lukasz-oss"),
        ("李雷", "li-lei"),
        ("a.1/b", "a-1-b"),
        ("🙂", "learner"),
        ("Guest", "guest-2"),
        ("Bob", "bob-3"),
    ],
)
def test_user_names_can_be_read(name: str, expected: str) -> None:
    assert user_name(name, {"bob", "bob-2"}) == expected


@given(st.lists(st.text(max_size=60), max_size=20))
def test_user_names_never_collide_nor_look_like_a_virtual_host_for_lessons(names: list[str]) -> None:
    taken: set[str] = set()
    for name in names:
        found = user_name(name, taken)
        assert found not in taken
        assert found.isascii()
        assert "." not in found
        assert 0 < len(found) <= 50
        taken.add(found)


def test_virtual_hosts_for_lessons_are_those_with_a_number() -> None:
    known = ["anna", "anna.10", "anna.2", "anna.1", "anna.01", "anna.x", "annaX3", "joanna.4", "anna.1.2"]
    assert lesson_hosts("anna", known) == ["anna.1", "anna.2", "anna.10"]


# -- the teacher's file

ADA = Access("Lovelace, Ada", "ada", "lovelace-ada", "amqp://lovelace-ada:s3cret@broker:5672/lovelace-ada", "")


def test_only_the_teacher_can_read_the_file(tmp_path: Path) -> None:
    file = TeachersFile(tmp_path / "urls.csv")
    file.path.touch(0o644)
    file.write([ADA])
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert file.read() == [ADA]
    assert [path.name for path in tmp_path.iterdir()] == ["urls.csv"]


def test_an_empty_class_is_a_class(tmp_path: Path) -> None:
    file = TeachersFile(tmp_path / "urls.csv")
    assert file.read() == []
    file.write([])
    assert file.read() == []


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    file = TeachersFile(tmp_path / "urls.csv")
    file.write([ADA])

    def broken() -> Any:
        yield ADA
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        file.write(broken())
    assert file.read() == [ADA]
    assert [path.name for path in tmp_path.iterdir()] == ["urls.csv"]


@pytest.mark.parametrize("text", ["name,mark\nAda,1\n", "", "\xff", "name,login,user,broker_url,management_url\nx\n"])
def test_another_file_is_not_overwritten(tmp_path: Path, text: str) -> None:
    file = TeachersFile(tmp_path / "urls.csv")
    file.path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InvalidArgumentError, match="is not a file of this command"):
        file.read()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"can't be written to .*No such file.*--output"):
        TeachersFile(tmp_path / "nowhere" / "urls.csv").write([ADA])


def test_no_password_is_in_a_repr() -> None:
    assert "s3cret" not in repr(ADA)


# -- what a teacher is told

OVERVIEW = answer("200 OK", {"rabbitmq_version": "4.3.6"})
PASSWORD = "s3cret!pw"


def workq_class(tmp_path: Path, port: int, *command: str) -> Result:
    where = ["--broker", f"amqp://teacher:{PASSWORD}@127.0.0.1:1/", "--management", f"http://127.0.0.1:{port}"]
    result = CliRunner().invoke(main, ["class", *command, *where, "--output", str(tmp_path / "urls.csv")])
    assert PASSWORD not in result.output
    return result


@pytest.mark.parametrize(
    ("replies", "seen"),
    [
        (
            [answer("401 Unauthorized", {"error": "not_authorized", "reason": "Not_Authorized"})],
            "refused the login of the administrator 'teacher'. Correct it",
        ),
        (
            [answer("401 Unauthorized", {"error": "not_authorised", "reason": "Not management user"})],
            "'teacher' is no administrator of RabbitMQ at http://127.0.0.1:",
        ),
        (
            [OVERVIEW, answer("200 OK", {"name": "teacher", "tags": ["management"]})],
            "have this one become one: rabbitmqctl set_user_tags teacher administrator",
        ),
        (
            [answer("200 OK", {"rabbitmq_version": "3.9.1"}), answer("200 OK", {"tags": ["administrator"]})],
            "is 3.9.1, and a class needs 3.10 or later",
        ),
        (
            [answer("200 OK", "<html>", "text/html")],
            "is not RabbitMQ's management API (200). Enable it on the broker with `rabbitmq-plugins enable",
        ),
    ],
)
@pytest.mark.parametrize("command", ["status", "remove"])
def test_a_broker_that_does_not_do(tmp_path: Path, replies: list[bytes], seen: str, command: str) -> None:
    with listening(in_turn(*replies)) as port:
        result = workq_class(tmp_path, port, command)
    assert result.exit_code == 1
    assert seen in result.stderr
    assert result.stderr.count("\n") == 1


def test_no_management_plugin(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    told = workq_class(tmp_path, port, "status").stderr
    assert "A class is made through RabbitMQ's management API." in told
    assert "refused" in told
    assert "rabbitmq-plugins enable rabbitmq_management`, or name its address with --management." in told


def test_no_roster(tmp_path: Path) -> None:
    result = workq_class(tmp_path, 1, "create", str(tmp_path / "roster.csv"))
    assert result.exit_code == 1
    assert "roster.csv can't be read: No such file or directory. Name a CSV file" in result.stderr


def test_no_broker() -> None:
    result = CliRunner().invoke(main, ["class", "status"], env={"WORKQ_BROKER_URL": ""})
    assert "WORKQ_BROKER_URL is not set" in result.stderr


def test_a_broker_that_may_not_open_enough_files(tmp_path: Path) -> None:
    (tmp_path / "roster.csv").write_text("name\nAda\nZoë\n")
    told = [{"tags": ["administrator"]}, [], [], [{"fd_total": 70}, {"fd_total": 1024}]]
    with listening(in_turn(OVERVIEW, *(answer("200 OK", body) for body in told))) as port:
        result = workq_class(tmp_path, port, "create", str(tmp_path / "roster.csv"))
    assert "may open 70 files, and 2 learners with 8 lessons each need about 74." in result.stderr
    assert not (tmp_path / "urls.csv").exists()


@pytest.mark.parametrize("status", ["404 Not Found", "400 Bad Request"])
def test_a_broker_without_limits_for_users(status: str) -> None:
    with listening(said(answer(status, {"error": "x", "reason": "y"}))) as port:
        endpoint = Endpoint("127.0.0.1", 1, "teacher", PASSWORD, f"http://127.0.0.1:{port}")
        with (
            Administration(endpoint) as api,
            pytest.raises(UnsupportedBrokerError, match=r"does not limit users.*3\.10"),
        ):
            api.limit_user("ada", {"max-connections": 1})
