"""The networks that scorers stand on, lean, reading published weights under their published names."""
