from __future__ import annotations

from deployment.workbench.ml_functions import mask


def test_what_the_analyzer_cannot_take_is_blanked_in_place() -> None:
    text = "SELECT *\nFROM ML.PREDICT(MODEL `p.d.m`,\n  TABLE t, STRUCT(0.5 AS threshold))"

    masked, [call] = mask(text)

    assert len(masked) == len(text)
    assert masked.count("\n") == text.count("\n")
    assert "MODEL" not in masked
    assert "STRUCT" not in masked
    assert masked.index("TABLE t") == text.index("TABLE t")
    assert (call.function, call.model, call.tables) == ("PREDICT", "`p.d.m`", 1)


def test_a_function_without_a_model_keeps_its_tables() -> None:
    _, [call] = mask("SELECT * FROM ML.VALIDATE_DATA_DRIFT((SELECT 1, 2), (SELECT 3), STRUCT(0.1 AS x))")

    assert (call.function, call.model, call.tables) == ("VALIDATE_DATA_DRIFT", "", 2)


def test_a_function_of_a_model_alone_has_no_tables() -> None:
    _, [call] = mask("SELECT * FROM ML.FEATURE_INFO(MODEL `m`)")

    assert call.tables == 0
