"""The generated files of the protocol are what the .proto says, and the .proto is the public protocol."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from canario.serving import open_inference_pb2
from tests.serving.generate_open_inference import GENERATED, REPOSITORY, generate

PUBLIC = """
from tritonclient.grpc import service_pb2
import sys
sys.stdout.buffer.write(service_pb2.DESCRIPTOR.serialized_pb)
"""


def test_generated_files_are_fresh(tmp_path: Path) -> None:
    """Generating them again changes nothing."""
    generate(tmp_path)
    for name in GENERATED:
        assert (tmp_path / name).read_bytes() == (REPOSITORY / name).read_bytes()


def test_names_and_numbers_are_the_public_ones() -> None:
    """Every message, field and method has the name, number and type that the Triton client's own protocol has."""
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

    public = FileDescriptorProto.FromString(
        subprocess.run([sys.executable, "-c", PUBLIC], check=True, capture_output=True).stdout
    )
    ours = FileDescriptorProto.FromString(open_inference_pb2.DESCRIPTOR.serialized_pb)
    assert ours.package == public.package
    theirs = {message.name: message for message in public.message_type}
    for message in ours.message_type:
        assert fields(message) == fields(theirs[message.name])
    (service,) = ours.service
    (public_service,) = public.service
    assert service.name == public_service.name
    public_methods = {method.name: (method.input_type, method.output_type) for method in public_service.method}
    assert {
        method.name: (method.input_type, method.output_type) for method in service.method
    }.items() <= public_methods.items()


def fields(message: object) -> dict[str, tuple[int, int, int]]:
    """Number, type and label of each field, also of the messages inside."""
    found = {field.name: (field.number, field.type, field.label) for field in message.field}  # type: ignore[attr-defined]  # made at run time
    for inside in message.nested_type:  # type: ignore[attr-defined]  # the same
        found |= {f"{inside.name}.{name}": number for name, number in fields(inside).items()}
    return found
