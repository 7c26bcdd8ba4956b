"""What the project's gRPC servers have in common: who may call them, and how a starter and a served process agree."""
