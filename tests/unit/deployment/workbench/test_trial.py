"""A try on a local cloud: what it says of a good and of a useless feature, and that it leaves nothing behind."""

from __future__ import annotations

import datetime as dt
import json
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from deployment.workbench import scratch
from deployment.workbench.case_from_rows import sample_inputs
from deployment.workbench.rehearsal import rehearse
from deployment.workbench.row_difference import compare_rows
from deployment.workbench.trial import Trial, try_change
from deployment.workbench.trial_answer import Answer
from deployment.workbench.trial_report import trial_data, trial_markdown, trial_page
from etl.errors import StateError, StatementError, TemplateError
from etl.templates import Templates
from tests.unit.deployment.workbench.points_project import MODEL, Project, running_project, sources


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with running_project(tmp_path_factory.mktemp("cloud")) as made:
        yield made


@pytest.fixture(scope="module")
def good(project: Project) -> Trial:
    project.edit("x,\n  y")
    return try_change(project.app, MODEL)


def everything(project: Project) -> dict[str, Any]:
    """All tables with their rows and last change, all models, and all versions with their aliases and labels."""
    client = project.app.bigquery
    found: dict[str, Any] = {}
    for dataset in client.list_datasets():
        for item in client.list_tables(dataset.reference):
            table = client.get_table(item.reference)
            found[f"{item.dataset_id}.{item.table_id}"] = (table.num_rows, table.modified)
        for model in client.list_models(dataset.reference):
            found[f"model {model.dataset_id}.{model.model_id}"] = client.get_model(model.reference).modified
    for version in project.app.registry.versions(MODEL):
        found[f"version {version.version_id}"] = (version.aliases, dict(version.labels))
    return found


def datasets(project: Project) -> set[str]:
    return {item.dataset_id for item in project.app.bigquery.list_datasets()}


def test_a_good_feature_is_better(good: Trial) -> None:
    assert good.judgement.answer is Answer.BETTER, good.judgement.reason
    assert good.judgement.lower is not None
    assert good.judgement.lower > 0
    assert list(good.features) == ["+ y"]
    assert good.training_rows[0] == good.training_rows[1] == 600
    assert "+  y" in good.sql_changes
    assert {(row.slice, row.value) for row in good.evidence.slices} == {("half", "first"), ("half", "second")}
    assert good.usage.bytes_billed > 0


def test_a_useless_feature_is_not(project: Project) -> None:
    project.edit("x,\n  MOD(point_id * 7919, 97) AS noise")

    trial = try_change(project.app, MODEL)

    assert trial.judgement.answer in {Answer.UNKNOWN, Answer.WORSE}, trial.judgement.reason
    assert list(trial.features) == ["+ noise"]


@pytest.mark.slow
def test_a_feature_that_is_lost_is_worse(project: Project) -> None:
    project.edit("MOD(point_id * 7919, 97) AS noise")

    assert try_change(project.app, MODEL).judgement.answer is Answer.WORSE


def test_of_an_unchanged_tree_nothing_can_be_told_and_nothing_is_touched(project: Project) -> None:
    project.edit()
    before = everything(project)

    trial = try_change(project.app, MODEL)

    assert trial.judgement.answer is Answer.UNKNOWN
    assert trial.sql_changes == ""
    assert everything(project) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_try_leaves_nothing_behind(project: Project, number: signal.Signals) -> None:
    project.edit()
    before = everything(project)

    def interrupt(step: str) -> None:
        if step == "training_features":
            assert len(datasets(project)) == 3
            signal.raise_signal(number)

    with pytest.raises(KeyboardInterrupt):
        try_change(project.app, MODEL, tell=interrupt)

    assert everything(project) == before
    assert len(datasets(project)) == 2


def test_a_wrong_statement_leaves_nothing_behind(project: Project) -> None:
    project.edit("x,\n  no_such_column")

    with pytest.raises(StatementError, match="no_such_column"):
        try_change(project.app, MODEL)

    assert len(datasets(project)) == 2


def test_a_candidate_that_would_be_registered_is_refused(project: Project) -> None:
    text = sources()[f"{MODEL}/train/loose.sql"].replace(
        "{{ registry.registry_options(candidate) }}", "model_registry = 'vertex_ai'"
    )
    project.edit(points__train__loose=text)

    with pytest.raises(TemplateError, match=r"sql/points/train/loose.sql: the model would be registered"):
        try_change(project.app, MODEL)


def test_a_version_that_there_is_not_is_told_with_those_that_there_are(project: Project) -> None:
    with pytest.raises(StateError, match=r"no version 'nobody' to compare with; versions: 1"):
        try_change(project.app, MODEL, "nobody")


def test_what_a_killed_try_left_behind_expires_and_goes_with_the_next(project: Project) -> None:
    client, now = project.app.bigquery, dt.datetime.now(dt.UTC)
    scratch._create(project.app, "left_by_a_killed_try", now - scratch.LIFETIME)
    scratch._create(project.app, "in_use", now)
    left = client.get_dataset("in_use")

    gone = scratch.remove_expired(client, project.app.settings.project, now + dt.timedelta(seconds=1))
    scratch.remove(client, f"{project.app.settings.project}.in_use")

    assert gone == ["left_by_a_killed_try"]
    assert left.default_table_expiration_ms == 12 * 3600 * 1000
    assert len(datasets(project)) == 2


def test_rows_for_a_case_are_those_that_the_file_reads(project: Project) -> None:
    project.edit("x,\n  y")

    sample = sample_inputs(project.app, MODEL, f"{MODEL}/features/training_features.sql", 3)

    assert set(sample.given) == {"known_points"}
    assert [set(row) for row in sample.given["known_points"]] == [{"point_id", "is_far", "x", "y", "split"}] * 3
    assert len(datasets(project)) == 2


def test_a_dry_run_tells_the_bytes_and_what_bigquery_refuses(project: Project) -> None:
    project.edit("x,\n  no_such_column")

    found = {rehearsal.path: rehearsal for rehearsal in rehearse(project.app, MODEL)}

    known = found[f"{MODEL}/features/known_points.sql"]
    assert known.bytes is not None
    assert known.bytes > 0
    assert "no_such_column" in found[f"{MODEL}/features/training_features.sql"].refused


def test_rows_of_two_versions_are_compared_by_what_names_them(project: Project) -> None:
    project.edit("x,\n  y")
    then = Templates(MODEL, sources("x + IF(point_id < 4, 1, 0) AS x"))

    found = compare_rows(project.app, MODEL, f"{MODEL}/features/training_features.sql", then, 1000)

    assert (found.keys, found.rows, found.compared) == (("point_id",), (600, 600), 600)
    assert (found.came, found.went) == ([], [])
    assert set(found.changed) == {"x"}
    assert found.changed["x"][0] == 2  # of the points 0 to 3 two are of the split that trains
    assert len(datasets(project)) == 2


def test_the_reports_say_the_same_thing(good: Trial) -> None:
    data, markdown, page = trial_data(good), trial_markdown(good), trial_page(good)

    assert data["answer"] == "better"
    assert json.dumps(data)
    assert markdown.startswith("### `bqloop try`: better\n")
    assert "`+ y`" in markdown
    assert "| average_precision |" in markdown
    assert '<span id="answer" class="verdict promote">better</span>' in page
    assert "<script" not in page


def test_what_a_source_wrote_is_no_markup_in_the_comment(good: Trial) -> None:
    row = {
        "left_title": "a | b `c` @everybody\n# x",
        "right_title": None,
        "is_positive": True,
        "is_right_now": True,
        "champion_probability": 0.1,
        "candidate_probability": 0.9,
        "of_kind": 1,
    }
    trial = Trial(**{**vars(good), "changed": [row]})

    assert "| right now | `a \\| b 'c' @everybody # x` |  | yes | 0.100 | 0.900 |" in trial_markdown(trial)
    assert "1 pairs are right now, 0 are wrong now" in trial_page(trial)
