"""`python -m sciml.cli` is the same as `sciml`."""

import sys

from sciml.cli.main import main

sys.exit(main())
