"""Pods find loaded images by the names that people write."""

from __future__ import annotations

import pytest

from tests.cluster.images import names_in_node, read_labels


@pytest.mark.parametrize(
    ("image", "names"),
    [
        ("fraud:v2", ("localhost/fraud:v2", "docker.io/library/fraud:v2")),
        ("localhost/fraud:v2", ("localhost/fraud:v2", "docker.io/library/fraud:v2")),
        ("fraud", ("localhost/fraud:latest", "docker.io/library/fraud:latest")),
        ("team/fraud:v2", ("localhost/team/fraud:v2", "docker.io/team/fraud:v2")),
        ("registry.example/models/fraud:v2", ("registry.example/models/fraud:v2",)),
        ("registry:5000/fraud:v2", ("registry:5000/fraud:v2",)),
    ],
)
def test_a_name_without_a_registry_works_short_and_with_localhost(image: str, names: tuple[str, ...]) -> None:
    """`fraud:v2` and `localhost/fraud:v2` are one image to buildah, and two names to Kubernetes."""
    assert names_in_node(image) == names


def test_labels_are_read_from_containerds_table() -> None:
    """An image is copied again only when its identity differs from the one that is written on it."""
    listing = (
        "REF TYPE DIGEST SIZE PLATFORMS LABELS\n"
        "localhost/a:1 application/vnd.oci.image.manifest.v1+json sha256:1 4.9 MiB linux/amd64 dev.canario.source=1,x=y\n"
        "localhost/b:1 application/vnd.oci.image.manifest.v1+json sha256:2 4.9 MiB linux/amd64 -\n"
    )
    assert read_labels(listing) == {"localhost/a:1": {"dev.canario.source": "1", "x": "y"}, "localhost/b:1": {}}
