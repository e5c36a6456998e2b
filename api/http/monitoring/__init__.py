"""What monitoring asks: probes of health, and metrics."""
