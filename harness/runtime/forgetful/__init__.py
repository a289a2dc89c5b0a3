"""A file system that forgets what was not synced, without root: FUSE, spoken to the kernel directly.

`wire` is the kernel's protocol, `memory` what is on the disk and what only seems to be, `server` answers the kernel,
`mounting` gives a directory such a disk.
"""
