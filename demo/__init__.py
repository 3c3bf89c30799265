"""The main job from end to end, told in a terminal, and the traffic that the demo, the soak and the tests share."""
