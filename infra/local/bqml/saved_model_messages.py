"""The protobuf messages of a TensorFlow SavedModel, as far as a graph of constants needs them; TensorFlow is not needed.

Source: saved_model.proto, meta_graph.proto, graph.proto and tensor.proto of TensorFlow, whose field numbers are fixed. A map is
written as the repeated pairs that it is on the wire, so that the same model gives the same bytes.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "bqloop.saved_model"

_FIELDS: dict[str, dict[int, str]] = {
    "SavedModel": {1: "saved_model_schema_version int64", 2: "meta_graphs *MetaGraphDef"},
    "MetaGraphDef": {1: "meta_info_def MetaInfoDef", 2: "graph_def GraphDef", 5: "signature_def *SignatureEntry"},
    "MetaInfoDef": {4: "tags *string", 5: "tensorflow_version string"},
    "GraphDef": {1: "node *NodeDef", 4: "versions VersionDef"},
    "VersionDef": {1: "producer int32", 2: "min_consumer int32"},
    "NodeDef": {1: "name string", 2: "op string", 3: "input *string", 5: "attr *AttrEntry"},
    "AttrEntry": {1: "key string", 2: "value AttrValue"},
    "AttrValue": {
        2: "s bytes",
        3: "i int64",
        5: "b bool",
        6: "type int32",
        7: "shape TensorShapeProto",
        8: "tensor TensorProto",
    },
    "TensorShapeProto": {2: "dim *Dim"},
    "Dim": {1: "size int64"},
    "TensorProto": {
        1: "dtype int32",
        2: "tensor_shape TensorShapeProto",
        4: "tensor_content bytes",
        8: "string_val *bytes",
    },
    "SignatureEntry": {1: "key string", 2: "value SignatureDef"},
    "SignatureDef": {1: "inputs *TensorInfoEntry", 2: "outputs *TensorInfoEntry", 3: "method_name string"},
    "TensorInfoEntry": {1: "key string", 2: "value TensorInfo"},
    "TensorInfo": {1: "name string", 2: "dtype int32", 3: "tensor_shape TensorShapeProto"},
}


def message(kind: str, /, **fields: Any) -> Any:
    r"""A new message; `None` leaves a field out.

    >>> message("VersionDef", producer=134).SerializeToString()
    b'\x08\x86\x01'
    """
    return _CLASSES[f"{PACKAGE}.{kind}"](**fields)


def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="bqloop/saved_model.proto", package=PACKAGE, syntax="proto2")
    for name, fields in _FIELDS.items():
        described = file.message_type.add(name=name)
        for number, text in fields.items():
            field, kind = text.split()
            one = descriptor_pb2.FieldDescriptorProto
            label = one.LABEL_REPEATED if kind.startswith("*") else one.LABEL_OPTIONAL
            kind = kind.removeprefix("*")
            if kind in _FIELDS:
                described.field.add(
                    name=field, number=number, label=label, type=one.TYPE_MESSAGE, type_name=f".{PACKAGE}.{kind}"
                )
            else:
                described.field.add(name=field, number=number, label=label, type=one.Type.Value(f"TYPE_{kind.upper()}"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return dict(message_factory.GetMessageClassesForFiles([file.name], pool))


_CLASSES = _classes()
