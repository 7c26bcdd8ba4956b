"""Rewards in Python, and the process that they run in: never the worker's own.

``module:name`` of a specification is a function or a class (``vard_rewards.function``). Those that ship score with published
models: ``clip:ClipScore``, ``aesthetic:LaionAesthetic``, ``pickscore:PickScore``, ``hps:Hpsv2``, ``image_reward:ImageReward``.
"""

import os

# Read by transformers when it is imported: its advice on image processors is none to a user.
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

__version__ = "0.1.0"
