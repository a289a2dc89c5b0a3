"""Releases with a defect planted in them: what `compare` must call worse, and suites must call broken.

    python -m tests.planted slow-send 5.3.3 DIR

makes DIR an unpacked release for `--rocketmq path:DIR`. The classes are changed by javassist, which the releases bring
along, so that nothing is compiled and no byte is counted by hand.
"""
