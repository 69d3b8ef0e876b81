"""What BigQuery registers, read and changed through Google's ModelServiceClient."""

import itertools
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
from google.api_core.exceptions import BadRequest, Forbidden, MethodNotImplemented, NotFound
from google.cloud import aiplatform_v1
from google.protobuf import field_mask_pb2, struct_pb2

from infra.local.model_registry import RegistryError
from tests.unit.infra.local.vertex.constant_model import PROJECT
from tests.unit.infra.local.vertex.world import PARENT, World


def aliases(world: World) -> dict[str, list[str]]:
    return {
        version.version_id: sorted(version.version_aliases)
        for version in world.clients.models.list_model_versions(name=world.model())
    }


def test_versions_count_up_and_the_first_one_is_the_default(world: World) -> None:
    assert [world.register("m1"), world.register("m2"), world.register("m3")] == ["1", "2", "3"]
    assert aliases(world) == {"1": ["default"], "2": [], "3": []}
    assert world.clients.models.get_model(name=world.model()).version_id == "1"


def test_registering_the_same_bigquery_model_again_gives_the_version_it_has(world: World) -> None:
    assert world.register("m1") == world.register("m1") == "1"


def test_a_model_says_that_it_comes_from_bigquery_and_what_it_can_be_deployed_on(world: World) -> None:
    world.register("m1", labels={"run": "r1"})
    model = world.clients.models.get_model(name=world.model())
    assert model.display_name == "deals"
    assert model.model_source_info.source_type is aiplatform_v1.ModelSourceInfo.ModelSourceType.BQML
    assert list(model.supported_deployment_resources_types) == [
        aiplatform_v1.Model.DeploymentResourcesType.DEDICATED_RESOURCES
    ]
    assert dict(model.labels) == {"run": "r1"}


def test_names_come_back_with_the_project_number_and_are_accepted_that_way(world: World) -> None:
    world.register("m1")
    model = world.clients.models.get_model(name=world.model())
    assert model.name == f"projects/{world.server.project_number}/locations/us-central1/models/deals"
    assert world.clients.models.get_model(name=model.name).version_id == "1"


@pytest.mark.parametrize(("bigquery", "vertex"), [("US", "us-central1"), ("EU", "europe-west4"), ("asia-east1",) * 2])
def test_bigquery_multi_regions_register_in_their_vertex_region(world: World, bigquery: str, vertex: str) -> None:
    world.register("m1", location=bigquery)
    listed = world.clients.models.list_models(parent=f"projects/{PROJECT}/locations/{vertex}")
    assert [model.display_name for model in listed] == ["deals"]


def test_an_alias_given_at_registration_moves_to_the_new_version(world: World) -> None:
    world.register("m1", aliases=["challenger"])
    world.register("m2", aliases=["challenger", "run-2"])
    assert aliases(world) == {"1": ["default"], "2": ["challenger", "run-2"]}
    assert world.clients.models.get_model(name=world.model("challenger")).version_id == "2"


def test_merging_moves_an_alias_and_a_hyphen_removes_it(world: World) -> None:
    world.register("m1", aliases=["champion", "old"])
    world.register("m2")
    merged = world.clients.models.merge_version_aliases(name=world.model("2"), version_aliases=["champion", "default"])
    assert sorted(merged.version_aliases) == ["champion", "default"]
    world.clients.models.merge_version_aliases(name=world.model("1"), version_aliases=["-old"])
    assert aliases(world) == {"1": [], "2": ["champion", "default"]}


def test_removing_an_alias_from_a_version_that_does_not_have_it_leaves_it_where_it_is(world: World) -> None:
    world.register("m1", aliases=["champion"])
    world.register("m2")
    world.clients.models.merge_version_aliases(name=world.model("2"), version_aliases=["-champion"])
    assert aliases(world)["1"] == ["champion", "default"]


def test_adding_and_removing_the_same_alias_cancel_each_other_out(world: World) -> None:
    world.register("m1", aliases=["champion"])
    world.register("m2")
    world.clients.models.merge_version_aliases(name=world.model("2"), version_aliases=["champion", "-champion"])
    assert aliases(world)["1"] == ["champion", "default"]


def test_an_alias_that_several_callers_move_at_once_ends_on_one_version(world: World) -> None:
    for name in ("m1", "m2", "m3", "m4"):
        world.register(name)

    def move(version: int) -> None:
        for _ in range(10):
            world.clients.models.merge_version_aliases(
                name=world.model(str(version)), version_aliases=["champion", "default"]
            )

    with ThreadPoolExecutor(4) as callers:
        list(callers.map(move, (1, 2, 3, 4)))
    assert sorted(itertools.chain.from_iterable(aliases(world).values())) == ["champion", "default"]


def test_there_is_a_default_version_at_all_times(world: World) -> None:
    world.register("m1")
    with pytest.raises(BadRequest, match="exactly one default"):
        world.clients.models.merge_version_aliases(name=world.model("1"), version_aliases=["-default"])


@pytest.mark.parametrize("alias", ["has_underscore", "1st", "x", "", "Upper", "ends-"])
def test_a_malformed_alias_is_refused_at_both_doors(world: World, alias: str) -> None:
    world.register("m1")
    with pytest.raises(BadRequest, match="alias"):
        world.clients.models.merge_version_aliases(name=world.model("1"), version_aliases=[alias])
    with pytest.raises(RegistryError, match="alias") as refused:
        world.register("m2", aliases=[alias])
    assert refused.value.reason == "invalid"


def test_a_malformed_model_id_is_refused(world: World) -> None:
    with pytest.raises(RegistryError, match="vertex_ai_model_id"):
        world.register("m1", vertex_ai_model_id="9lives")


def test_a_registered_model_keeps_its_model_id(world: World) -> None:
    world.register("m1")
    with pytest.raises(RegistryError, match="already registered as deals"):
        world.register("m1", vertex_ai_model_id="other")


@pytest.mark.parametrize("name", ["models/none", "models/deals@9", "models/deals@champion"])
def test_what_is_not_there_is_not_found(world: World, name: str) -> None:
    world.register("m1")
    with pytest.raises(NotFound):
        world.clients.models.get_model(name=f"{PARENT}/{name}")


def test_another_project_is_refused(world: World) -> None:
    with pytest.raises(Forbidden, match="other-project"):
        list(world.clients.models.list_models(parent="projects/other-project/locations/us-central1"))


def test_listing_filters_orders_and_pages(world: World) -> None:
    for name in ("b", "a", "c"):
        world.register(name, vertex_ai_model_id=f"model_{name}", labels={"kind": name, "all": "yes"})

    def listed(**request: object) -> list[str]:
        pages = world.clients.models.list_models(request={"parent": PARENT, **request})
        return [model.display_name for model in pages]

    assert listed(order_by="display_name") == ["model_a", "model_b", "model_c"]
    assert listed(order_by="display_name desc", page_size=2) == ["model_c", "model_b", "model_a"]
    assert listed(filter='display_name="model_a"') == ["model_a"]
    assert listed(filter='displayName!="model_a"', order_by="display_name") == ["model_b", "model_c"]
    assert listed(filter="model=model_c") == ["model_c"]
    assert listed(filter="labels.kind=b AND labels.all=yes") == ["model_b"]
    assert listed(filter="labels.kind:* labels:all", order_by="display_name") == ["model_a", "model_b", "model_c"]
    assert listed(filter="labels.none:*") == []
    with pytest.raises(BadRequest, match="create_time > "):
        listed(filter='create_time > "2026-01-01"')


def test_a_read_mask_leaves_the_other_fields_out(world: World) -> None:
    world.register("m1", labels={"run": "r1"})
    (model,) = world.clients.models.list_models(
        request={"parent": PARENT, "read_mask": field_mask_pb2.FieldMask(paths=["labels"])}
    )
    assert (dict(model.labels), model.display_name) == ({"run": "r1"}, "")


def test_labels_of_model_and_version_are_set_apart_and_shown_together(world: World) -> None:
    world.register("m1")
    world.register("m2")
    update, mask = world.clients.models.update_model, field_mask_pb2.FieldMask(paths=["labels"])
    update(model={"name": world.model(), "labels": {"team": "deals"}}, update_mask=mask)
    update(model={"name": world.model("2"), "labels": {"run": "r2"}}, update_mask=mask)
    versions = list(world.clients.models.list_model_versions(name=world.model()))
    assert [dict(version.labels) for version in versions] == [{"team": "deals"}, {"team": "deals", "run": "r2"}]
    labelled = world.clients.models.list_model_versions(request={"name": world.model(), "filter": "labels.run=r2"})
    assert [version.version_id for version in labelled] == ["2"]


def test_an_update_of_a_field_that_cannot_be_updated_is_refused(world: World) -> None:
    world.register("m1")
    with pytest.raises(BadRequest, match="artifactUri"):
        world.clients.models.update_model(
            model={"name": world.model(), "artifact_uri": "gs://b/o"},
            update_mask=field_mask_pb2.FieldMask(paths=["artifact_uri"]),
        )


def test_labels_that_google_would_refuse_are_refused(world: World) -> None:
    world.register("m1")
    for labels in ({"Run": "x"}, {"run": "A.B"}, {"9": "x"}, {"run": "x" * 64}):
        with pytest.raises(BadRequest, match="labels"):
            world.clients.models.update_model(
                model={"name": world.model("1"), "labels": labels},
                update_mask=field_mask_pb2.FieldMask(paths=["labels"]),
            )


def test_dropping_the_bigquery_model_takes_its_version_and_moves_the_default(world: World) -> None:
    for name in ("m1", "m2", "m3"):
        world.register(name)
    world.server.registry.unregister(f"{PROJECT}.ds.m1")
    assert aliases(world) == {"2": [], "3": ["default"]}
    world.server.registry.unregister(f"{PROJECT}.ds.m2")
    world.server.registry.unregister(f"{PROJECT}.ds.m3")
    world.server.registry.unregister(f"{PROJECT}.ds.never-registered")
    assert list(world.clients.models.list_models(parent=PARENT)) == []


def test_a_version_number_is_not_given_twice(world: World) -> None:
    world.register("m1")
    world.register("m2")
    world.server.registry.unregister(f"{PROJECT}.ds.m2")
    assert world.register("m3") == "3"


def test_a_model_that_bigquery_has_is_not_deleted_in_vertex(world: World) -> None:
    world.register("m1")
    world.register("m2")
    with pytest.raises(BadRequest, match=r"DROP MODEL `vertex-test.ds.m2`"):
        world.clients.models.delete_model_version(name=world.model("2"))
    with pytest.raises(BadRequest, match="comes from BigQuery ML"):
        world.clients.models.delete_model(name=world.model())


def test_what_bigquery_no_longer_has_can_be_deleted_but_not_as_the_only_version(world: World) -> None:
    world.register("m1")
    world.register("m2")
    shutil.rmtree(world.folder / "models")
    world.clients.models.delete_model_version(name=world.model("1")).result(timeout=10)
    assert aliases(world) == {"2": ["default"]}
    with pytest.raises(BadRequest, match="only version"):
        world.clients.models.delete_model_version(name=world.model("2"))
    world.clients.models.delete_model(name=world.model()).result(timeout=10)
    with pytest.raises(NotFound):
        world.clients.models.get_model(name=world.model())


def test_evaluations_are_kept_with_their_version(world: World) -> None:
    world.register("m1")
    world.register("m2", aliases=["run-2"])
    metrics = struct_pb2.Value()
    metrics.struct_value.update({"auPrc": 0.75})
    imported = world.clients.models.import_model_evaluation(
        parent=world.model("run-2"),
        model_evaluation={
            "display_name": "validation",
            "metrics_schema_uri": "gs://google-cloud-aiplatform/schema/modelevaluation/classification_metrics_1.0.0.yaml",
            "metrics": metrics,
        },
    )
    assert "/models/deals@2/evaluations/" in imported.name
    read = world.clients.models.get_model_evaluation(name=imported.name)
    assert read.metrics["auPrc"] == 0.75
    listed = world.clients.models.list_model_evaluations(parent=world.model("2"))
    assert [evaluation.name for evaluation in listed] == [imported.name]
    assert list(world.clients.models.list_model_evaluations(parent=world.model("1"))) == []


def test_an_upload_is_refused_by_name(world: World) -> None:
    with pytest.raises(MethodNotImplemented, match="models:upload"):
        world.clients.models.upload_model(parent=PARENT, model={"display_name": "custom"})
