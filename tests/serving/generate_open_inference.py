"""Generates canario/serving/open_inference_pb2.py and .pyi from the .proto beside them."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc  # type: ignore[import-untyped]  # it ships no types

REPOSITORY = Path(__file__).resolve().parents[2]
PROTO = "canario/serving/open_inference.proto"
GENERATED = ("canario/serving/open_inference_pb2.py", "canario/serving/open_inference_pb2.pyi")


def generate(target: Path) -> None:
    """Write both files below `target`."""
    arguments = ["protoc", f"-I{REPOSITORY}", f"--python_out={target}", f"--pyi_out={target}", PROTO]
    if protoc.main(arguments) != 0:
        sys.exit("protoc failed")
    messages = target / GENERATED[0]
    # A pool of its own: other packages register their own `inference` messages in the default pool of the same process.
    text = messages.read_text(encoding="utf-8")
    messages.write_text(
        text.replace("_descriptor_pool.Default()", "_descriptor_pool.DescriptorPool()"), encoding="utf-8"
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        for name in GENERATED:
            (REPOSITORY / name).write_bytes((Path(folder) / name).read_bytes())
