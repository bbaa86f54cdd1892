"""The same command line under the name that ComfyUI's launch scripts know."""

import sys

from server import main

sys.exit(main())
