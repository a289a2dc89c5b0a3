"""Proves or refutes, on a real cluster, every guarantee RocketMQ's deployment documents make."""
