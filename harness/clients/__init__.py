"""Client workers: one process is one producer or one consumer, and writes its own history."""
