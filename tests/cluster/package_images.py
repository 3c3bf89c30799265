"""Builds images of Debian's packages on the base image, in buildah's store; what is in one is said by its own module.

Other processes may ask at the same time: the first one builds, the others wait for it.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.cluster import base_image
from tests.cluster.base_image import buildah, label_of
from tests.cluster.model_images import KEY_LABEL, alone


def package_image(name: str, recipe: str, packages: Sequence[str], user_id: int) -> str:
    """The name of an image, which is made when this recipe has not been followed yet.

    The recipe is a Containerfile with places for `base`, `packages`, `user`, `label` and `key`.
    """
    with alone():
        made_of = (recipe, *packages, str(user_id), Path(base_image.__file__).read_text())
        key = hashlib.sha256("\n".join(made_of).encode()).hexdigest()[:16]
        if label_of(name, KEY_LABEL) != key:
            base, words = base_image.base_image(), " ".join(packages)
            text = recipe.format(base=base, packages=words, user=user_id, label=KEY_LABEL, key=key)
            with tempfile.TemporaryDirectory(prefix="canario-image-") as folder:
                (Path(folder) / "Containerfile").write_text(text)
                buildah("build", "--quiet", "--tag", name, folder)
        return name
