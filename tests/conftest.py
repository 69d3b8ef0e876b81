"""What all tests share."""

import os

from hypothesis import settings

# No test is timed: these machines are noisy. CI draws the same examples each time; elsewhere every run draws new ones.
settings.register_profile("bqloop", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("bqloop")
