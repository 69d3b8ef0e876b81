"""What a template becomes, without a run: for people who look at the SQL."""

from __future__ import annotations

import re
from typing import Any

from deployment.exports import Export
from deployment.review.gather import Reviewed
from deployment.stages.evaluate import CHAMPION, Scored
from deployment.stages.run import policy_of
from deployment.stages.score import Serving
from deployment.stages.shadow import Shadow
from deployment.stages.train import Candidate, candidate_alias
from etl.errors import TemplateError
from etl.names import Naming, run_slug
from etl.settings import Settings
from etl.templates import KINDS, RenderedSql, Templates

_EXAMPLE_DATE = "2026-01-01"
_HEADER = re.compile(r"/\*\s*(.*?)\s*\*/", re.DOTALL)


def render_file(settings: Settings, templates: Templates, path: str, run_id: str = "") -> RenderedSql:
    """Render one template of a model as a run would.

    Args:
        settings: The environment.
        templates: The model's SQL.
        path: The template, below `sql/`.
        run_id: The run whose tables are named; an example's where it is empty.

    Raises:
        TemplateError: There is no such template, or it does not render.
    """
    if path not in templates.sources:
        known = ", ".join(sorted(p for p in templates.sources if p.endswith(".sql") and not p.startswith("macros/")))
        raise TemplateError(f"there is no sql/{path}. Known: {known}")
    return templates.render(path, example_context(settings, templates, run_id))


def example_context(settings: Settings, templates: Templates, run_id: str = "") -> dict[str, Any]:
    """Every variable that any of a model's templates may use, as a run would have them."""
    model = templates.model
    naming, slug = Naming.of(settings, model), run_slug(model, run_id or f"{model}-{_EXAMPLE_DATE}")
    folders = ("features", "evaluate", "predict")
    names = [stem for folder in folders for stem in templates.stems(f"{model}/{folder}")]
    candidates = templates.stems(f"{model}/train") or ["candidate"]
    first = naming.candidate_model(slug, candidates[0])

    def quoted(table: str) -> str:
        return f"`{naming.run_table(slug, table)}`"

    scored = [
        Scored(name, f"`{naming.candidate_model(slug, name)}`", quoted("validation_set"), quoted("test_set"))
        for name in [*candidates, CHAMPION]
    ]
    policy = policy_of(templates)
    context = {
        "table": naming.tables(templates.stems(f"{model}/tables")),
        "run_table": naming.run_tables(names, slug),
        "ledger": naming.ledger(templates.stems("ledger")),
        "policy": policy,
        "feature_columns": ["feature"],
        "candidate": Candidate(candidates[0], f"`{first}`", model, (candidate_alias(slug, candidates[0]),)),
        "scored": scored,
        "champion": Serving(f"`{first}`", "1"),
        "features": [("feature", "FLOAT64")],
        "shadow": Shadow(f"`{first}`", [("feature", "FLOAT64")]),
        "export": Export("gs://bucket/folder/name-*.csv", "CSV"),
        "reviewed": Reviewed(f"`{first}`"),
        "summarised_table": quoted("training_features"),
        "summarised_columns": list(policy.keys),
        "sampled": {"table": quoted("training_features"), "key_columns": list(policy.keys)},
        "request": {"pairs": f"`{naming.table('request__pairs')}`"},
    }
    checks = [name for name, check in policy.checks.items() if check.severity == "quarantine"]
    found = [f"{model}/checks/{name}.sql" for name in checks] or templates.folder(f"{model}/checks")
    known = [path for path in found if path in templates.sources]
    return context | {"check_query": templates.render(known[0], context).text if known else ""}


def describe_files(settings: Settings, templates: Templates) -> list[dict[str, Any]]:
    """One row per file of the model: `file`, `builds` (the first sentence of its header), `needs` (tables of the run)."""
    context, found = example_context(settings, templates), []
    folders = (f"{templates.model}/", f"{KINDS}/")
    for path in sorted(p for p in templates.sources if p.startswith(folders) and p.endswith(".sql")):
        stem = path.rsplit("/", 1)[-1].removesuffix(".sql")
        sentence = re.split(r"(?<=[.:])\s", describe_file(templates, path), maxsplit=1)[0]
        needs = sorted(templates.render(path, context).run_tables - {stem}) if "/import/" not in path else []
        found.append({"file": f"sql/{path}", "builds": sentence, "needs": needs})
    return found


def describe_file(templates: Templates, path: str) -> str:
    """The header of a file: what it builds, in one line; "" where it has none."""
    header = _HEADER.search(templates.sources[path])
    return " ".join(header[1].split()) if header else ""
