"""The worker: one session a run, which holds the diffusion pipeline, its adapter, the value network and their optimisers.

It does one step at a time, exactly as a request asks. It knows nothing of rewards, schedules or runs.
"""

import os

# Read by transformers when it is imported: its advice on image processors, which no text encoder needs, is none to a user.
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

__version__ = "0.1.0"
