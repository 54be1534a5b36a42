"""`python -m pipeline` is `studyc`."""

import sys

from pipeline.cli import main

sys.exit(main())
