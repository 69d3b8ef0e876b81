"""Rules for a model as a whole: what its tables must hold together, and that no feature knows the answer."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator

from deployment.workbench.findings import Finding, finding_of_word
from deployment.workbench.project import Project

JUDGED = ("validation_set", "test_set")
_NO_FEATURE = ("ARRAY", "STRUCT", "JSON", "BYTES", "RANGE", "INTERVAL", "GEOGRAPHY")
_FRESHNESS = ("new_rows", "new_labels", "labels", "positives", "negatives", "newest_row", "newest_label")


def model_findings(project: Project) -> Iterator[Finding]:
    """All that is wrong with a model's tables as they stand together."""
    yield from _policy(project)
    yield from _training(project)
    yield from _leaks(project)
    yield from _outputs(project)
    yield from _freshness(project)


def _path(project: Project, name: str) -> str:
    return f"{project.templates.model}/features/{name}.sql"


def _policy(project: Project) -> Iterator[Finding]:
    """Names in model.yml are those of files."""
    templates, policy = project.templates, project.policy
    model = templates.model
    file = f"{model}/model.yml"
    features = templates.stems(f"{model}/features")
    for section, names, known in (
        ("frozen", policy.frozen, features),
        ("shared", policy.shared, features),
        ("candidates", policy.candidates, templates.stems(f"{model}/train")),
        ("checks", tuple(policy.checks), templates.stems(f"{model}/checks")),
    ):
        for name in names:
            if name not in known:
                told = f"{section}: there is no {name}.sql. Known: {', '.join(known)}"
                yield finding_of_word(templates, file, name, "policy", told)


def _training(project: Project) -> Iterator[Finding]:
    """Training and judging use the same features, of types that BigQuery ML takes."""
    policy, templates = project.policy, project.templates
    found = {n: project.analyses.get(_path(project, n)) for n in ("training_features", *JUDGED)}
    training = found["training_features"]
    for name, analysis in found.items():
        if analysis is None:
            continue
        wanted = [*policy.keys, policy.label, *([policy.group] if name in JUDGED else [])]
        for column in wanted:
            if column not in analysis.columns:
                told = f"{name} has no column {column}, which model.yml names"
                yield finding_of_word(templates, _path(project, name), "SELECT", "columns", told)
    if training is None:
        return
    features = {n: kind for n, kind in training.columns.items() if n not in policy.not_features}
    for name, kind in features.items():
        if kind.startswith(_NO_FEATURE):
            told = f"feature {name} is {kind}, which BigQuery ML cannot train on"
            yield finding_of_word(templates, _origin(project, name), name, "feature-type", told)
    for name in JUDGED:
        analysis = found[name]
        for feature in features if analysis else ():
            if feature not in analysis.columns:  # type: ignore[union-attr]  # it is there, else there is nothing to look at
                told = f"feature {feature} is trained on, but {name} has no such column"
                yield finding_of_word(templates, _path(project, name), feature, "skew", told)
        for column, kind in (analysis.columns if analysis else {}).items():
            if column in features and features[column] != kind:
                told = f"feature {column} is {features[column]} in training_features and {kind} in {name}"
                yield finding_of_word(templates, _path(project, name), column, "skew", told)


def trace(project: Project, name: str, column: str, until: Container[str] = ()) -> frozenset[tuple[str, str]]:
    """The columns of persistent tables that a column of a run's table is computed from, through all run tables between.

    Columns of tables that `until` holds are ends, too.
    """
    by_table = {a.creates: a for a in project.analyses.values() if a.creates}
    seen: set[tuple[str, str]] = set()
    stack = [(name, column)]
    ends: set[tuple[str, str]] = set()
    while stack:
        here = stack.pop()
        if here in seen:
            continue
        seen.add(here)
        analysis = by_table.get(here[0]) if here[0] not in until else None
        if analysis is not None and here[1] in analysis.lineage:
            stack.extend(analysis.lineage[here[1]])
        elif analysis is None or not analysis.lineage:
            ends.add(here)
    return frozenset(ends)


def _leaks(project: Project) -> Iterator[Finding]:
    """No feature is computed from what people said about the pair, nor from what a model said.

    A frozen table may hold what was learned from verdicts, as a model does, if from those of the training split alone.
    """
    frozen = {a.creates: n for n in project.policy.frozen if (a := project.analyses.get(_path(project, n)))}
    training = project.analyses.get(_path(project, "training_features"))
    for name in training.columns if training else ():
        if training is None or name in project.policy.not_features:
            continue
        for table, column in sorted(trace(project, training.creates, name, frozen)):
            if column == project.policy.label:
                told = f"feature {name} is computed from {project.short_name(table)}.{column}: it knows the answer"
                yield finding_of_word(project.templates, _origin(project, name), name, "leak", told)
    for table, name in frozen.items():
        ends = [end for c in project.analyses[_path(project, name)].columns for end in trace(project, table, c)]
        if any(column == project.policy.label for _, column in ends) and not _of_training(project, name):
            told = (
                f"{name} is learned from {project.policy.label}: from rows WHERE {project.policy.split} = 'train' alone"
            )
            yield finding_of_word(project.templates, _path(project, name), name, "leak", told)


def _of_training(project: Project, name: str) -> bool:
    """Whether a run table, or one that it reads, keeps to the training split."""
    wanted, seen = [name], set[str]()
    while wanted:
        statement = project.statements.get(_path(project, wanted.pop()))
        if statement is None or statement.path in seen:
            continue
        seen.add(statement.path)
        if re.search(rf"\b{project.policy.split}\s*=\s*'train'", statement.text):
            return True
        wanted.extend(statement.run_tables)
    return False


def _origin(project: Project, feature: str) -> str:
    """The template that computes a feature: the first whose output has a column of that name."""
    for path, analysis in project.analyses.items():
        if feature in analysis.columns and path.split("/")[-2] == "features":
            return path
    return _path(project, "training_features")


def _outputs(project: Project) -> Iterator[Finding]:
    """What predict/ writes has the columns of the table that it is written to."""
    for path, analysis in project.analyses.items():
        if path.split("/")[-2] != "predict" or analysis.creates not in project.tables:
            continue
        wanted = project.tables[analysis.creates]
        for column, kind in wanted.items():
            if analysis.columns.get(column) != kind:
                has = analysis.columns.get(column, "missing")
                told = f"{project.short_name(analysis.creates)}.{column} is {kind} in tables/ and {has} here"
                yield finding_of_word(project.templates, path, column, "output", told)


def _freshness(project: Project) -> Iterator[Finding]:
    path = f"{project.templates.model}/monitor/freshness.sql"
    analysis = project.analyses.get(path)
    for column in _FRESHNESS if analysis else ():
        if analysis is not None and column not in analysis.columns:
            told = f"the stage `check` needs a column {column}"
            yield finding_of_word(project.templates, path, "SELECT", "columns", told)
