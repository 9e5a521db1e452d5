"""What the families that diffuse latents share: rows for their parts, text, start, guidance, decode, planning."""
