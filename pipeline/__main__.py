"""`python -m pipeline` is `studyc`."""

import sys

from pipeline.cli.main import main

sys.exit(main())
