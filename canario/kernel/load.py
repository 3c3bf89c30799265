"""Load a stored version's kernel; whether its bytes are what was packed, `canario.adapters.versions.prove` has said before."""

from __future__ import annotations

from canario.adapters.versions import ESTIMATOR_FILE, StoredVersion
from canario.kernel.kernel import Kernel


def load_kernel(version: StoredVersion) -> Kernel:
    """The kernel that the version's record names.

    A compiled one is loaded without scikit-learn, pandas or any unpickling. Raises KernelError when the model cannot be
    loaded, IntegrityError when it is not one that canario would have made.
    """
    from canario.kernel.estimator import load_estimator_kernel

    return load_estimator_kernel(version.folder / ESTIMATOR_FILE, version.card(), version.record.kernel)
