"""What keeps the sandbox's services up when something near them fails: each does one job, none knows another."""
