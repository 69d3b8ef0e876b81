import numpy as np
import pyarrow as pa
import pytest

from infra.local.bqml import BqmlError, ModelSpec, call, train


def blobs():
    generator = np.random.default_rng(4)
    centers = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    points = np.repeat(centers, 50, axis=0) + generator.normal(0, 0.3, (150, 2))
    return pa.table({"x": points[:, 0], "y": points[:, 1]})


@pytest.mark.parametrize("init", ["RANDOM", "KMEANS++"])
def test_clusters_that_stand_apart_are_found(fitted, init):
    data = blobs()
    model = fitted(data, model_type="KMEANS", num_clusters=3, kmeans_init_method=init)
    found = call("PREDICT", model, data, {})
    groups = [set(found["CENTROID_ID"].to_pylist()[start : start + 50]) for start in (0, 50, 100)]
    assert [len(group) for group in groups] == [1, 1, 1]
    assert len(set.union(*groups)) == 3
    near = found["NEAREST_CENTROIDS_DISTANCE"][0].as_py()
    assert near[0]["CENTROID_ID"] == found["CENTROID_ID"][0].as_py()
    assert [pair["DISTANCE"] for pair in near] == sorted(pair["DISTANCE"] for pair in near)


def test_centroids_are_in_the_units_of_the_data(fitted):
    model = fitted(blobs(), model_type="KMEANS", num_clusters=3, kmeans_init_method="KMEANS++")
    rows = call("CENTROIDS", model, None, {}).to_pylist()
    xs = sorted(row["numerical_value"] for row in rows if row["feature"] == "x")
    assert xs == pytest.approx([0.0, 0.0, 10.0], abs=0.3)


def test_custom_centroids_are_the_marked_rows(fitted):
    marked = np.zeros(150, dtype=bool)
    marked[[0, 60, 120]] = True
    data = blobs().append_column("start", pa.array(marked))
    model = fitted(data, model_type="KMEANS", num_clusters=3, kmeans_init_method="CUSTOM", kmeans_init_col="start")
    assert call("PREDICT", model, data, {})["CENTROID_ID"].to_pylist()[::50] == [1, 2, 3]
    assert [name for name, _ in model.feature_columns] == ["x", "y"]


def test_cosine_distance_forgets_length(fitted):
    data = pa.table({"x": [1.0, 2.0, 0.0, 0.1], "y": [0.0, 0.1, 1.0, 2.0]})
    options = {"distance_type": "COSINE", "standardize_features": False, "num_clusters": 2}
    model = fitted(data, model_type="KMEANS", kmeans_init_method="KMEANS++", **options)
    groups = call("PREDICT", model, data, {})["CENTROID_ID"].to_pylist()
    assert groups[0] == groups[1] != groups[2] == groups[3]


def test_kmeans_tells_its_clusters_an_iteration(fitted):
    model = fitted(blobs(), model_type="KMEANS", num_clusters=3)
    info = call("TRAINING_INFO", model, None, {}).to_pylist()
    assert sum(c["cluster_size"] for c in info[0]["cluster_info"]) == 150
    assert call("EVALUATE", model, None, {}).schema.names == ["davies_bouldin_index", "mean_squared_distance"]


def test_more_clusters_than_rows_are_refused(fitted):
    with pytest.raises(BqmlError, match="NUM_CLUSTERS"):
        fitted(blobs().slice(0, 3), model_type="KMEANS", num_clusters=4)


def test_kmeans_goes_on_from_old_centroids():
    options = {"model_type": "KMEANS", "num_clusters": 3, "max_iterations": 1}
    first = train(ModelSpec.of(options), blobs())
    second = train(ModelSpec.of({**options, "warm_start": True}), blobs(), warm_start=first)
    assert len(second.fit.runs) == 2
    assert second.fit.runs[1][0].loss <= first.fit.runs[0][0].loss


def test_numbers_are_scaled_by_the_sample_deviation(fitted):
    data = pa.table({"x": [1.0, 2.0, 3.0, 4.0]})
    model = fitted(data, model_type="KMEANS", num_clusters=2)
    assert model.encoder.encodings[0].std == pytest.approx(np.std([1, 2, 3, 4], ddof=1))


def test_components_explain_what_the_covariance_says(fitted):
    generator = np.random.default_rng(6)
    base = generator.normal(size=200)
    data = pa.table({"a": base, "b": 2 * base + generator.normal(0, 0.1, 200), "c": generator.normal(size=200)})
    model = fitted(data, model_type="PCA", num_principal_components=2)
    expected = np.linalg.eigvalsh(np.corrcoef(np.array([data[n].to_numpy() for n in "abc"])))[::-1]
    info = call("PRINCIPAL_COMPONENT_INFO", model, None, {})
    assert info["eigenvalue"].to_pylist() == pytest.approx(expected[:2])
    assert info["explained_variance_ratio"].to_pylist() == pytest.approx(expected[:2] / 3)
    total = call("EVALUATE", model, None, {})["total_explained_variance_ratio"][0].as_py()
    assert total == pytest.approx(expected[:2].sum() / 3)
    projected = call("PREDICT", model, data, {})["principal_component_1"].to_numpy()
    assert np.var(projected, ddof=1) == pytest.approx(expected[0])


def test_a_share_of_variance_keeps_as_many_components_as_it_takes(fitted):
    generator = np.random.default_rng(6)
    data = pa.table({name: generator.normal(size=500) for name in "abcd"})
    model = fitted(data, model_type="PCA", pca_explained_variance_ratio=0.6)
    assert len(model.fit.learner.components) == 3  # of four equal ones, two explain about a half


def test_the_output_can_leave_the_input_out(fitted):
    data = blobs()
    model = fitted(data, model_type="PCA", num_principal_components=1)
    assert call("PREDICT", model, data, {}).schema.names == ["principal_component_1", "x", "y"]
    assert call("PREDICT", model, data, {"keep_original_columns": False}).schema.names == ["principal_component_1"]


@pytest.mark.parametrize(
    "function", ["WEIGHTS", "GLOBAL_EXPLAIN", "CONFUSION_MATRIX", "ROC_CURVE", "FEATURE_IMPORTANCE"]
)
def test_functions_for_labels_refuse_an_unsupervised_model(fitted, function):
    model = fitted(blobs(), model_type="KMEANS", num_clusters=2)
    with pytest.raises(BqmlError):
        call(function, model, None, {})


@pytest.mark.parametrize("method", ["RANDOM", "KMEANS++"])
def test_parallel_rows_have_no_negative_cosine_distance(fitted, method):
    # Multiples of one vector: rounding makes the cosine of some pairs 1 + 2e-16.
    table = pa.table({"a": [0.1 * i for i in range(1, 200)], "b": [0.3 * i for i in range(1, 200)]})
    options = {"standardize_features": False, "kmeans_init_method": method}
    model = fitted(table, model_type="KMEANS", num_clusters=3, distance_type="COSINE", **options)
    distances = [
        pair["DISTANCE"]
        for row in call("PREDICT", model, table, {}).to_pylist()
        for pair in row["NEAREST_CENTROIDS_DISTANCE"]
    ]
    assert min(distances) >= 0.0
