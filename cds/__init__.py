"""Clinical decision support for imatinib therapeutic drug monitoring."""

__version__ = "0.1.0"
