"""Pure data and rules: what an operation, a history, a fault window and a verdict are. No I/O, no clock."""
