"""What a session would be and need, told from a model's configurations alone: no weight is read, nothing is computed."""
