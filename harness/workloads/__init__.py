"""What is sent, consumed and looked at while a scenario runs, and the workers that do it."""
