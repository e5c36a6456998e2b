"""What mutations share: errors of payloads, validation of inputs, the write block."""
