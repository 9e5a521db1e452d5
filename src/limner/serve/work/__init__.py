"""What the worker process does, one kind of job a file. Each ``run`` ends with the job's result, or raises."""
