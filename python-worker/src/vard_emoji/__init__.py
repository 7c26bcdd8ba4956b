"""Train `checkpoints/emoji-sd`, a Stable Diffusion pipeline small enough for two CPU cores."""
