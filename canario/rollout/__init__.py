"""The engine, pure: plan what to do, judge the evidence, decide what follows; carrying it out is for the platforms."""
