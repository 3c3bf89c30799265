"""Load a stored version's kernel; that its bytes are what was packed, `canario.adapters.versions.prove` says before."""

from __future__ import annotations

from canario.adapters.versions import ESTIMATOR_FILE, ONNX_FILE, StoredVersion
from canario.kernel.kernel import Kernel
from canario.model.version import KernelKind


def load_kernel(version: StoredVersion) -> Kernel:
    """The kernel that the version's record names.

    A compiled one is loaded without scikit-learn, pandas or any unpickling. Raises NotFound, IntegrityError or
    SignatureMismatch when its file is not one that canario would have written, KernelError when an estimator cannot be
    loaded.
    """
    if version.record.kernel.kind is KernelKind.ONNX:
        from canario.kernel.compiled import load_onnx_kernel

        return load_onnx_kernel(version.folder / ONNX_FILE, version.card(), version.record.kernel)
    from canario.kernel.estimator import load_estimator_kernel

    return load_estimator_kernel(version.folder / ESTIMATOR_FILE, version.card(), version.record.kernel)
