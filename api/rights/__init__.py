"""Rights: the viewer, and policies for what viewers may see and change."""
