"""Pages and files beside the code, as tests read them."""
