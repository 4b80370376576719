"""Other implementations of DynamoDB as referees: the same requests go to all, and every difference must have a name."""
