"""Who a model shows when nobody said: neutral prompts drawn over seeds, read by a classifier, with its doubts kept."""
