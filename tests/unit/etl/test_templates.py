from typing import Any

import pytest

from etl.errors import TemplateError
from etl.names import Naming, candidate_of, quoted, run_of, run_slug
from etl.templates import Templates, folders_of, in_order

NAMING = Naming("project", "dataset", "dataset_ledger", "model")


def templates(**files: str) -> Templates:
    return Templates("model", {f"model/features/{name}.sql": text for name, text in files.items()})


def context(*tables: str) -> dict[str, Any]:
    return {"run_table": NAMING.run_tables(tables, "2026_01_01"), "table": NAMING.tables(["raw_deals"])}


def test_names_become_full_names_in_back_quotes() -> None:
    rendered = templates(a="SELECT 1 FROM {{ table.raw_deals }}, {{ run_table.b }}").render(
        "model/features/a.sql", context("a", "b")
    )
    assert rendered.text == "SELECT 1 FROM `project.dataset.raw_deals`, `project.dataset.model__2026_01_01__b`\n"


def test_a_misspelt_variable_is_told_with_file_line_and_what_there_is() -> None:
    with pytest.raises(TemplateError, match=r"(?s)sql/model/features/a\.sql:2: 'tabel' is undefined.*run_table, table"):
        templates(a="SELECT 1\nFROM {{ tabel.raw_deals }}").render("model/features/a.sql", context("a"))


def test_a_misspelt_table_is_told_with_the_nearest_name() -> None:
    with pytest.raises(TemplateError, match=r"a\.sql:3: run_table\.pears is unknown\. Did you mean run_table\.pairs\?"):
        templates(a="SELECT\n  1\nFROM {{ run_table.pears }}").render("model/features/a.sql", context("a", "pairs"))


def test_a_template_that_does_not_parse_is_told_with_its_line() -> None:
    with pytest.raises(TemplateError, match=r"sql/model/features/a\.sql:2: "):
        templates(a="SELECT 1\n{% for %}").render("model/features/a.sql", context("a"))


def test_a_mistake_inside_a_macro_is_told_at_the_macros_line() -> None:
    sources = {
        "model/features/a.sql": "{% import 'macros/m.sql' as m %}\nSELECT {{ m.twice('x') }}",
        "macros/m.sql": "{% macro twice(c) %}\n{{ c }} +\n{{ missing }}\n{% endmacro %}",
    }
    with pytest.raises(TemplateError, match=r"sql/macros/m\.sql:3: 'missing' is undefined"):
        Templates("model", sources).render("model/features/a.sql", context("a"))


def test_every_rendered_line_remembers_the_template_line_that_it_came_from() -> None:
    text = "{# a note #}\n/* head */\nSELECT\n{% for c in ['x', 'y'] %}\n  {{ c }},\n{% endfor %}\n  1\n"
    rendered = templates(a=text).render("model/features/a.sql", context("a"))
    lines = rendered.text.splitlines()
    places = {line.strip(): rendered.place(number) for number, line in enumerate(lines, 1) if line.strip()}
    assert places["/* head */"] == "sql/model/features/a.sql:2"
    assert places["SELECT"] == "sql/model/features/a.sql:3"
    assert places["1"] == "sql/model/features/a.sql:7"


def test_lines_of_a_macro_are_placed_in_the_macros_file() -> None:
    sources = {
        "model/features/a.sql": "{% import 'macros/m.sql' as m %}\nSELECT\n  {{ m.lower('x') }}\n",
        "macros/m.sql": "{% macro lower(c) %}\nLOWER(\n  {{ c }}\n)\n{%- endmacro %}\n",
    }
    rendered = Templates("model", sources).render("model/features/a.sql", context("a"))
    number = next(n for n, line in enumerate(rendered.text.splitlines(), 1) if "LOWER" in line)
    assert rendered.place(number) == "sql/macros/m.sql:2"


def test_parameters_are_found_but_not_in_comments_strings_or_names() -> None:
    text = "/* @no */ SELECT '@no', \"@no\", `a@no`, @yes -- @no\n FROM t WHERE at = @as_of"
    rendered = templates(a=text).render("model/features/a.sql", context("a"))
    assert rendered.parameters == {"yes", "as_of"}


def test_the_tables_that_a_template_uses_are_known_after_rendering() -> None:
    text = "CREATE TABLE {{ run_table.a }} AS SELECT 1 FROM {{ run_table.b }}"
    assert templates(a=text).render("model/features/a.sql", context("a", "b", "c")).run_tables == {"a", "b"}


def test_the_hash_does_not_change_with_the_order_of_files_but_with_a_text() -> None:
    one, other = Templates("m", {"a": "1", "b": "2"}), Templates("m", {"b": "2", "a": "1"})
    assert one.sha == other.sha
    assert one.sha != Templates("m", {"a": "1", "b": "3"}).sha
    assert one.sha != Templates("m", {"a": "1b", "": "2"}).sha


def test_tables_are_built_after_what_they_need_and_only_what_is_wanted() -> None:
    needs = {name: frozenset(of) for name, of in {"d": "dbc", "c": "cab", "b": "ba", "a": "a", "z": "za"}.items()}
    assert in_order(needs, ["d"]) == ["a", "b", "c", "d"]


def test_tables_that_need_each_other_in_a_circle_are_refused_by_name() -> None:
    with pytest.raises(TemplateError, match="circle: a -> b -> a"):
        in_order({"a": frozenset("b"), "b": frozenset("a")}, ["a"])


@pytest.mark.parametrize("part", ["a`b", "a b", "", "a;b", "a\\"])
def test_a_name_cannot_end_its_own_quotes(part: str) -> None:
    with pytest.raises(TemplateError):
        quoted("project", part)


def test_runs_and_slugs_stand_for_each_other() -> None:
    assert run_slug("model", "model-2026-11-21-2") == "2026_11_21_2"
    assert run_of("model", "2026_11_21_2") == "model-2026-11-21-2"
    assert candidate_of("p.d.model__2026_11_21__boosted_tree") == ("2026_11_21", "boosted_tree")


@pytest.mark.parametrize("run_id", ["other-2026-01-01", "model-2026'; DROP TABLE x", "model-", "model"])
def test_a_run_of_another_model_or_with_odd_characters_is_refused(run_id: str) -> None:
    with pytest.raises(TemplateError, match="is not a run of model 'model'"):
        run_slug("model", run_id)


KINDS = {
    "model/model.yml": "task: regression\nrows: things",
    "model/evaluate/slices.sql": "SELECT 'own'",
    "kinds/regression/evaluate/slices.sql": "SELECT 'kind'",
    "kinds/regression/evaluate/metrics.sql": "SELECT {{ missing }}",
    "kinds/rows/evaluate/metrics.sql": "SELECT 'rows'",
    "kinds/any/evaluate/slices.sql": "SELECT 'any'",
    "kinds/any/evaluate/curve.sql": "SELECT 'any'",
}


def test_a_folder_is_completed_by_what_models_of_its_kind_share_and_its_own_files_win() -> None:
    found = Templates("model", KINDS)

    assert found.folder("model/evaluate") == [
        "kinds/any/evaluate/curve.sql",
        "kinds/regression/evaluate/metrics.sql",
        "model/evaluate/slices.sql",
    ]
    assert found.stems("model/evaluate") == ["curve", "metrics", "slices"]
    assert found.render("model/evaluate/slices.sql", {}).text == "SELECT 'own'\n"
    assert found.render("model/evaluate/curve.sql", {}).path == "kinds/any/evaluate/curve.sql"


def test_a_mistake_in_a_shared_file_is_told_where_it_stands() -> None:
    with pytest.raises(TemplateError, match=r"sql/kinds/regression/evaluate/metrics\.sql:1: 'missing' is undefined"):
        Templates("model", KINDS).render("model/evaluate/metrics.sql", {})


@pytest.mark.parametrize(
    ("policy", "kinds"),
    [
        ("task: regression\nrows: things", ["kinds/rows", "kinds/regression", "kinds/any"]),
        ("label: is_duplicate", ["kinds/classification", "kinds/any"]),
        ("task: [", ["kinds/classification", "kinds/any"]),  # refused with its line where the policy is validated
    ],
)
def test_a_policy_says_which_kinds_complete_its_folder(policy: str, kinds: list[str]) -> None:
    assert folders_of("model", policy) == ("model", *kinds, "macros", "ledger")
