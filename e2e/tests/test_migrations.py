"""Migrations expand first: none stops a program that runs on the schema before it."""

import subprocess

import pytest

from support import tools
from support.server import ROOT

pytestmark = pytest.mark.light


def squawk(*files):
    return subprocess.run([tools.squawk(), "--config", ROOT / ".squawk.toml", "--reporter", "gcc", *files],
                          capture_output=True, text=True, check=False)


def test_each_migration_is_one_that_running_programs_survive():
    files = sorted((ROOT / "schema/migrations").glob("*.sql"))
    assert files
    judged = squawk(*files)
    assert judged.returncode == 0, judged.stdout + judged.stderr


@pytest.mark.parametrize(("statement", "rule"), [
    ("alter table channels drop column title;", "drop"),
    ("alter table channels rename column title to name;", "renam"),
    ("create index if not exists channels_title on channels (title);", "index creation"),
    ("alter table channels add column owner uuid not null;", "not null"),
])
def test_a_migration_that_would_stop_them_is_told(tmp_path, statement, rule):
    file = tmp_path / "9999_bad.sql"
    file.write_text(statement + "\n")
    judged = squawk(file)
    assert judged.returncode != 0
    assert rule in judged.stdout.lower(), judged.stdout
