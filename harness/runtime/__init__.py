"""Everything that touches the machine: processes, networks, disks, and the removal of what a dead run left."""
