"""What the sandbox's processes are made of: each part knows one job and none of the others."""
