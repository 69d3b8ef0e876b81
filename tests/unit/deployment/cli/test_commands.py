"""What the command line promises about itself."""

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import click
import pytest
import structlog
import typer
from typer.testing import CliRunner

from deployment.cli import session
from deployment.cli.imports import parse_mapping
from deployment.cli.main import app, main
from etl.errors import InputError
from infra.local.cloud import SERVICES

README = (Path(__file__).resolve().parents[4] / "README.md").read_text(encoding="utf-8")


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))  # type: ignore[arg-type]
        else:
            yield (*path, name), command


ALL = dict(commands(typer.main.get_command(app)))  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_has_help_with_an_example_of_itself(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "300"})
    assert shown.exit_code == 0
    found = re.search(r"Example: bqloop (.*?)\s*[│\n]", shown.stdout)
    assert found, f"{' '.join(path)} has no example:\n{shown.stdout}"
    words = shlex.split(found[1])
    assert tuple(words[: len(path)]) == path


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_stands_in_the_readme(path: tuple[str, ...]) -> None:
    assert f"`{' '.join(path)}`" in README or f"`{path[0]}`" in README


def test_a_mapping_is_read_as_field_and_column() -> None:
    assert parse_mapping(["title=name", "price=a=b"]) == {"title": "name", "price": "a=b"}
    assert parse_mapping(None) == {}


@pytest.mark.parametrize("pairs", [["title"], ["=name"], ["title="], ["title=a", "title=b"]])
def test_a_mapping_that_cannot_be_meant_is_refused(pairs: list[str]) -> None:
    with pytest.raises(InputError, match="--map"):
        parse_mapping(pairs)


def test_what_a_command_logs_does_not_get_between_what_it_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["bqloop", "--help"])
    try:
        with pytest.raises(SystemExit):
            main()
        capsys.readouterr()
        structlog.get_logger("any").warning("the challenger went back")
        printed = capsys.readouterr()
    finally:
        structlog.reset_defaults()
    assert printed.out == ""
    assert "the challenger went back" in printed.err


def test_what_the_functions_of_a_local_cloud_record_says_which_commit_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {"endpoints": dict.fromkeys(SERVICES, "http://127.0.0.1:9")}
    monkeypatch.setattr("infra.local.state_folder.running_cloud", lambda _state: found)
    monkeypatch.setattr(session, "git_sha", lambda: "abc123")
    with mock.patch.dict(os.environ):
        os.environ.pop("BQLOOP_GIT_SHA", None)
        with session.local_cloud(tmp_path, functions=True):
            assert os.environ["BQLOOP_GIT_SHA"] == "abc123"
