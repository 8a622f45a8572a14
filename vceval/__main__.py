"""``python -m vceval``."""

import sys

from vceval.cli.main import main

sys.exit(main())
