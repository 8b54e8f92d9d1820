"""`honninctl`: Honnin for the people who run it. Uses the caller's AWS credentials and the stack's outputs."""
