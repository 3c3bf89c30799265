"""Pods find loaded images by the names that buildah gives them."""

from __future__ import annotations

import pytest

from tests.cluster.images import name_in_node, read_labels


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("fraud:v2", "localhost/fraud:v2"),
        ("localhost/fraud:v2", "localhost/fraud:v2"),
        ("fraud", "localhost/fraud:latest"),
        ("team/fraud:v2", "localhost/team/fraud:v2"),
        ("registry.example/models/fraud:v2", "registry.example/models/fraud:v2"),
        ("registry:5000/fraud:v2", "registry:5000/fraud:v2"),
    ],
)
def test_an_image_has_one_name(image: str, name: str) -> None:
    """`fraud:v2` and `localhost/fraud:v2` are one image to buildah; pods name it by the longer one."""
    assert name_in_node(image) == name


def test_labels_are_read_from_containerds_table() -> None:
    """An image is copied again only when its identity differs from the one that is written on it."""
    listing = (
        "REF TYPE DIGEST SIZE PLATFORMS LABELS\n"
        "localhost/a:1 application/vnd.oci.image.manifest.v1+json sha256:1 4.9 MiB linux/amd64 dev.canario.source=1,x=y\n"
        "localhost/b:1 application/vnd.oci.image.manifest.v1+json sha256:2 4.9 MiB linux/amd64 -\n"
    )
    assert read_labels(listing) == {"localhost/a:1": {"dev.canario.source": "1", "x": "y"}, "localhost/b:1": {}}
