"""What is refused, and what is marked as made by a machine: policy, checks, watermark, credentials, audit."""
