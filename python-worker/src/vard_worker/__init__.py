"""The worker: one session a run, which holds the diffusion pipeline, its adapter, the value network and their optimisers.

It does one step at a time, exactly as a request asks. It knows nothing of rewards, schedules or runs.
"""

__version__ = "0.1.0"
