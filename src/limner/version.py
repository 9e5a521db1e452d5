"""The version, where modules below the package's own front may read it."""

VERSION = "0.1.0"
