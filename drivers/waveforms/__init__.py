"""Sources of voltage and current samples."""
