"""What people lay over a checkpoint: LoRA and its kin, textual inversions, another autoencoder.

Files are read as they are found in the wild (``lora_keys``, ``lora_file``, ``embedding``, ``vae``), placed by the names
of the checkpoint's own layers (``targets``, ``match``), and run as side paths (``side``, ``overlay``).
"""
