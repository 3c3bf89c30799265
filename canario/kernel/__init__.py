"""How a version computes its answers, compiled where equality is proved, scikit-learn otherwise.

Serving:     load -> compiled (ONNX Runtime) or estimator (scikit-learn); inputs, columns, predictions between them and rows
Compiling:   compile -> export (nodes, models, trees, preparing) -> gate (trials) and operators
"""
