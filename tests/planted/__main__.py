"""`python -m tests.planted DEFECT VERSION DIR`."""

import sys
from pathlib import Path

from tests.planted.defects import DEFECTS, plant

if len(sys.argv) != 4 or sys.argv[1] not in DEFECTS:
    sys.exit(f"usage: python -m tests.planted {{{','.join(DEFECTS)}}} VERSION DIR")
sys.stdout.write(f"{plant(sys.argv[1], sys.argv[2], Path(sys.argv[3]))}\n")
