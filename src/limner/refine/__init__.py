"""Which prompt, setting or model is better: arms drawn over the same seeds, scored, judged, and searched for."""
