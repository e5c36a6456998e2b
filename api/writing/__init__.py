"""What all mutations use: refusals, validation of inputs, edits of rows, the write block."""
