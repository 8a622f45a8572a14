"""``python -m vceval``."""

import sys

from vceval.cli import main

sys.exit(main())
