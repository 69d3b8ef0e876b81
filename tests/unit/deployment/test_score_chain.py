"""What a scoring run adds to, and the SQL that it then runs."""

import datetime as dt
import json
from typing import Any

import pytest

from deployment.sql_preview import example_context
from deployment.stages.score import Chain, Earlier, chain_of
from deployment.workbench.google_sql import analyse
from deployment.workbench.project import analyse_project
from deployment.workbench.variables import parameter_types
from etl.settings import load_settings
from etl.templates import Templates, in_order

MODEL = "deal_duplicates"
MONDAY = dt.datetime(2026, 5, 4, 3, tzinfo=dt.UTC)


def row(**changed: Any) -> dict[str, Any]:
    details = {
        "bigquery_model": "p.d.m",
        "adds_to": [f"{MODEL}-score-1"],
        "instants": [MONDAY.isoformat(), (MONDAY + dt.timedelta(days=1)).isoformat()],
        "standing": ["clean_deals", "pair_probabilities"],
        **changed,
    }
    return {"run_id": f"{MODEL}-score-2", "details": json.dumps(details)}


def test_a_run_adds_to_the_newest_and_to_all_that_that_one_added_to() -> None:
    assert chain_of([row()], "p.d.m") == Chain(
        (f"{MODEL}-score-1", f"{MODEL}-score-2"),
        (MONDAY, MONDAY + dt.timedelta(days=1)),
        ("clean_deals", "pair_probabilities"),
    )


def test_what_another_champion_scored_is_not_added_to() -> None:
    assert chain_of([row()], "p.d.other") == Chain()
    assert chain_of([], "p.d.m") == Chain()


def test_after_a_rebuild_the_instants_of_the_runs_that_it_replaced_are_still_known() -> None:
    chain = chain_of([row(adds_to=[])], "p.d.m")
    assert chain.run_ids == (f"{MODEL}-score-2",)
    assert len(chain.instants) == 2


@pytest.mark.parametrize("runs", [(), ("2025_12_30", "2025_12_31")])
def test_google_reads_what_scoring_runs_on_the_first_day_and_on_later_ones(runs: tuple[str, ...]) -> None:
    settings, templates = load_settings("local"), Templates.from_tree(MODEL)
    project = analyse_project(settings, templates)
    context = example_context(settings, templates) | {"earlier": Earlier("2026_01_01", runs)}
    paths = {
        path.rsplit("/", 1)[-1].removesuffix(".sql"): path
        for folder in ("features", "predict")
        for path in templates.folder(f"{MODEL}/{folder}")
    }
    frozen = set(project.policy.frozen) | {"training_features"}
    needs = {name: templates.render(path, context).run_tables - frozen for name, path in paths.items()}
    order = in_order(needs, templates.stems(f"{MODEL}/predict"))
    assert "labelled_pairs" not in order
    catalogue = {
        n: c for n, c in project.tables.items() if "__2026_01_01__" not in n or n.rsplit("__", 1)[-1] in frozen
    }
    united = 0
    for name in order:
        # Some ask for what earlier runs have in the table that they build.
        statement = templates.render(paths[name], context)
        united += sum(f"__{run}__" in statement.text for run in runs)
        own = project.tables.get(context["run_table"].full_names[name], {})
        given = catalogue | (
            {} if name != "clean_deals" else _earlier(context, name, own | {"ingested_at": "TIMESTAMP"}, runs)
        )
        given |= {} if name != "deal_blocks" else _earlier(context, name, own, runs)
        types = parameter_types(project.policy, paths[name]) | {"rounds": "ARRAY<TIMESTAMP>", "previous": "TIMESTAMP"}
        asked = {p: types[p] for p in statement.parameters}
        found = analyse(statement.text, given, asked, labels={"is_duplicate": "BOOL"})
        if found.creates and found.columns:
            catalogue |= {found.creates: found.columns} | _earlier(context, name, found.columns, runs)
    assert not runs or united >= 20


def _earlier(context: Any, name: str, columns: Any, runs: tuple[str, ...]) -> dict[str, Any]:
    full = context["run_table"].full_names[name]
    return {full.replace("__2026_01_01__", f"__{run}__"): columns for run in runs}
