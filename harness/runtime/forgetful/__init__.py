"""A file system that forgets what was not synced, without root: FUSE, spoken to the kernel directly.

`wire` is the kernel's protocol, `memory` what is on the disk and what only seems to be, `names` the files as the kernel
knows them, `server` answers it, `mounting` gives a directory such a disk.
"""
