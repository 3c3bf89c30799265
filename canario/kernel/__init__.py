"""How a version computes its answers, compiled where equality is proved, scikit-learn otherwise.

Serving:     load -> compiled (ONNX Runtime) or estimator (scikit-learn); inputs, columns, predictions between them and rows
Compiling:   compile -> export (nodes, models, trees, preparing) -> gate (trials) and operators
"""

import os

# ONNX Runtime's own builds report to their maker once they are imported, unless this says not to.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
