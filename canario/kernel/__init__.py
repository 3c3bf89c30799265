"""How a version computes its answers, compiled where equality is proved, scikit-learn otherwise."""
