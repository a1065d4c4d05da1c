"""What keeps the sandbox's services up when something near them fails; none knows another."""
