from pathlib import Path

import pytest

from etl import settings as module
from etl.errors import ConfigurationError
from etl.settings import load_settings


def test_a_flag_wins_over_a_variable_and_a_variable_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings("local").dataset == "bqloop"
    monkeypatch.setenv("BQLOOP_DATASET", "from_variable")
    assert load_settings("local").dataset == "from_variable"
    assert load_settings("local", dataset="from_flag").dataset == "from_flag"


def test_a_nested_key_can_be_set_by_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BQLOOP_ENDPOINTS__BIGQUERY", "http://127.0.0.1:1")
    settings = load_settings("local")
    assert settings.endpoints.bigquery == "http://127.0.0.1:1"
    assert settings.endpoints.vertex == "http://127.0.0.1:8090"


def test_an_unknown_environment_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"no environment 'nowhere'.*Known: .*local"):
        load_settings("nowhere")


def test_a_wrong_value_is_told_with_its_key_and_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BQLOOP_BUDGETS__MAXIMUM_BYTES_BILLED", "-1")
    with pytest.raises(ConfigurationError, match=r"(?s)local\.yaml.*budgets\.maximum_bytes_billed"):
        load_settings("local")


def test_an_unknown_key_in_a_file_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = (module.ENVIRONMENTS / "local.yaml").read_text(encoding="utf-8")
    (tmp_path / "odd.yaml").write_text(text + "\nbugdet: 3\n", encoding="utf-8")
    monkeypatch.setattr(module, "ENVIRONMENTS", tmp_path)
    with pytest.raises(ConfigurationError, match="bugdet"):
        load_settings("odd")


def test_a_file_that_is_no_yaml_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_text("a: [", encoding="utf-8")
    monkeypatch.setattr(module, "ENVIRONMENTS", tmp_path)
    with pytest.raises(ConfigurationError, match=r"odd\.yaml is not valid YAML"):
        load_settings("odd")
