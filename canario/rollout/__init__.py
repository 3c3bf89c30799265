"""The engine, pure: plan, judge, decide."""
