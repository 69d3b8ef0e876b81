"""Attacks of the threat model (infra/gcp/README.md) that the code itself must withstand: each is tried, and refused.

What only IAM can refuse, such as a push without the right token, stands in test_terraform_is_safe.py.
"""

from __future__ import annotations

import ast
import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import functions_framework
import pytest
from flask import Flask, request
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from deployment.application import Application
from deployment.setup import definitions
from etl.errors import BqloopError, ConfigurationError, InputError, TemplateError
from etl.ingest import import_deals, import_labels
from etl.names import quoted, run_slug
from etl.settings import load_settings
from etl.templates import Templates
from etl.warehouse import Warehouse
from functions import stage_events
from functions.service import routes
from infra.local.bigquery import BigQueryServer

ROOT = Path(__file__).resolve().parents[4]
MODEL = "deal_duplicates"
HOSTILE = [
    "'); DROP TABLE bqloop.raw_deals; --",
    '" OR 1=1 --',
    "`; DELETE FROM labels WHERE true; /*",
    "{{ table.raw_deals }} {% for x in range(9) %}x{% endfor %}",
    "@as_of \\' ; SELECT 1",
    "<script>alert(1)</script>",
    "../../../../etc/passwd",
    "\u202e\u2028'; --",
]


class Warehouses:
    def __init__(self, endpoint: str) -> None:
        settings = load_settings("local", endpoints={"bigquery": endpoint})
        self.client = bigquery.Client(
            settings.project, AnonymousCredentials(), location="US", client_options={"api_endpoint": endpoint}
        )
        self.client.create_dataset(settings.dataset)
        self.templates = Templates.from_tree(MODEL)
        self.warehouse = Warehouse(self.client, settings)
        for ddl in definitions(Application(settings), MODEL):
            self.client.query(ddl.text).result()

    def tables(self) -> set[str]:
        return {t.table_id for t in self.client.list_tables("bqloop")}

    def read(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in self.client.query(sql).result()]


@pytest.fixture(scope="module")
def warehouses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouses]:
    folder = tmp_path_factory.mktemp("bigquery")
    server = BigQueryServer(folder / "state", project="bqloop-local", registry=None, storage_root=folder / "storage")
    server.start()
    yield Warehouses(server.endpoint)
    server.stop()


def test_titles_that_are_sql_html_or_jinja_are_stored_as_they_are_and_carry_nothing_out(
    warehouses: Warehouses, tmp_path: Path
) -> None:
    deals = [{"deal_id": text, "source": text, "title": text} for text in HOSTILE]
    file = tmp_path / "deals.ndjson"
    file.write_text("\n".join(map(json.dumps, deals)))
    before = warehouses.tables()
    report = import_deals(warehouses.warehouse, warehouses.templates, file)
    assert (report.loaded, report.rejected) == (len(HOSTILE), 0)
    kept = warehouses.read("SELECT deal_id, source, title FROM bqloop.raw_deals")
    assert sorted(kept) == sorted((text, text, text) for text in HOSTILE)
    assert warehouses.tables() == before


@pytest.mark.parametrize("text", HOSTILE)
def test_a_source_given_on_the_command_line_is_a_value_and_never_sql_or_a_path(
    text: str, warehouses: Warehouses, tmp_path: Path
) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("left_id,right_id,is_duplicate\n1,2,true\n")
    before, files = warehouses.tables(), set(tmp_path.parent.iterdir())
    import_labels(warehouses.warehouse, warehouses.templates, file, left_source=text, right_source="b")
    kept = warehouses.read("SELECT left_source, right_source FROM bqloop.labels")
    assert (text, "b") in kept or ("b", text) in kept
    assert (warehouses.tables(), set(tmp_path.parent.iterdir())) == (before, files)


@pytest.mark.parametrize("name", [*HOSTILE, "a`b", "a b", "", "a\nb"])
def test_a_name_that_could_end_its_quotes_never_becomes_one(name: str) -> None:
    with pytest.raises(TemplateError):
        quoted("project", "dataset", name)


@pytest.mark.parametrize("run", ["../x", "2026_11_21`", "a;b", "x__y/..", ""])
def test_a_run_id_that_is_none_never_becomes_part_of_a_table_name(run: str) -> None:
    with pytest.raises(TemplateError):
        run_slug(MODEL, f"{MODEL}-{run}")


@pytest.mark.parametrize("path", ["../pyproject.toml", "/etc/passwd", "deal_duplicates/../../etc/names.py", "..\\x"])
def test_no_template_is_read_from_outside_the_sql_folder(path: str) -> None:
    with pytest.raises(BqloopError):
        Templates.from_tree(MODEL).render(path, {})


@pytest.mark.parametrize("env", ["../../etl/x", "/etc/passwd", "local/../local", ""])
def test_no_environment_is_read_from_outside_its_folder(env: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BQLOOP_ENV", env or "../local")
    with pytest.raises(ConfigurationError, match="no environment"):
        load_settings(env or None)


@pytest.mark.parametrize("dataset", ["a`b", "a.b", "a-b; DROP", "../x"])
def test_a_dataset_that_is_no_name_is_refused(dataset: str) -> None:
    with pytest.raises(ConfigurationError, match="dataset"):
        load_settings("dev", dataset=dataset)


class DeadLetters:
    def __init__(self) -> None:
        self.reasons: list[str] = []

    def publish(self, _topic: str, _data: bytes, *, reason: str, **_attributes: str) -> DeadLetters:
        self.reasons.append(reason)
        return self

    def result(self, timeout: float) -> None:
        del timeout


@pytest.fixture
def dead_letters(monkeypatch: pytest.MonkeyPatch) -> DeadLetters:
    """The function's environment without one of Google's services: whoever asks one fails."""
    letters = DeadLetters()
    app = Application(load_settings("dev", project="example-project-1"))
    monkeypatch.setattr(stage_events, "application", lambda: app)
    monkeypatch.setattr(stage_events, "_dead_letter_client", lambda: letters)
    return letters


def push(stage: str, message: bytes | dict[str, Any]) -> int:
    data = message if isinstance(message, bytes) else json.dumps(message).encode()
    body = {
        "message": {
            "data": base64.b64encode(data).decode(),
            "messageId": "1",
            "publishTime": "2026-11-21T05:00:00Z",
        },
        "subscription": "projects/p/subscriptions/s",
    }
    app = functions_framework.create_app(stage, ROOT / "functions" / "main.py", "http")
    answer = app.test_client().post(f"/projects/p/topics/bqloop-{stage}", json=body)
    return int(answer.status_code)


GOOD = {"model": MODEL, "run_id": f"{MODEL}-2026-11-21", "stage": "check", "as_of": "2026-11-21T05:00:00Z"}


@pytest.mark.parametrize(
    "message",
    [
        {"model": "deal_duplicates`; DROP TABLE x; --"},
        {"model": "../../etc"},
        {"model": "somebody_elses"},
        {**GOOD, "run_id": f"{MODEL}-../../x"},
        {**GOOD, "run_id": "somebody_elses-2026-11-21"},
        {**GOOD, "run_id": f"{MODEL}-" + "9" * 1000},
        {**GOOD, "stage": "deploy"},
        {**GOOD, "as_of": "yesterday"},
        {**GOOD, "project": "attackers-project"},
        {**GOOD, "options": "force"},
        b"\x80\x04\x95.",
        b"[" * 100_000,
        b"null",
    ],
    ids=lambda m: str(m)[:60],
)
def test_a_forged_push_is_dead_lettered_and_nothing_is_asked_of_google(
    message: bytes | dict[str, Any], dead_letters: DeadLetters
) -> None:
    assert push("check", message) == 200
    assert len(dead_letters.reasons) == 1


@pytest.mark.parametrize("body", [b"{}", b"null", b"[]", b"{", b"\xff"])
def test_what_is_no_push_at_all_is_refused(body: bytes, dead_letters: DeadLetters) -> None:
    app = functions_framework.create_app("check", ROOT / "functions" / "main.py", "http")
    answer = app.test_client().post("/", data=body, content_type="application/json")
    # 500 is functions-framework's own answer to bytes that are no text; what counts is that nothing is acknowledged.
    assert answer.status_code in {400, 500}
    assert dead_letters.reasons == []


def test_a_packed_body_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "service", lambda: SimpleNamespace(score=lambda *_: pytest.fail("it was unpacked")))
    bomb = gzip.compress(b" " * 50_000_000)
    headers = {"Content-Encoding": "gzip"}
    context = Flask(__name__).test_request_context(
        "/score", method="POST", data=bomb, content_type="application/json", headers=headers
    )
    with context:
        assert routes.answer(request).status_code == 400


def shipped_code() -> Iterator[tuple[str, ast.AST]]:
    for folder in ("etl", "functions", "deployment"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                yield path.relative_to(ROOT).as_posix(), node


# The service writes a version's SQL as loops: numbered variables, operators, and texts and names as Python quotes them. Who
# can change that SQL can run any query as the service; test_compiled_sql.py tries to get out of the quotes.
COMPILES_SQL = "functions/service/engine/rows/body.py calls exec"


def test_nothing_else_unpickles_evaluates_or_starts_a_shell() -> None:
    names = {"pickle", "cloudpickle", "joblib", "marshal", "shelve", "dill"}
    found = []
    for where, node in shipped_code():
        if isinstance(node, ast.Import | ast.ImportFrom):
            imported = {a.name.split(".")[0] for a in node.names} | {str(getattr(node, "module", "")).split(".")[0]}
            found += [f"{where} imports {n}" for n in imported & names]
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in {"eval", "exec", "os.system", "yaml.load", "yaml.unsafe_load"}:
                found.append(f"{where} calls {called}")
            found += [
                f"{where} starts a shell" for k in node.keywords if k.arg == "shell" and ast.unparse(k.value) != "False"
            ]
    assert found == [COMPILES_SQL]


def test_an_unknown_model_is_refused_before_its_folder_is_looked_for() -> None:
    with pytest.raises(InputError, match="not one of this environment's models"):
        Application(load_settings("dev")).templates("../../etc")
