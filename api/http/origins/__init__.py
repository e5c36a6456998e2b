"""Where requests may come from: the host names that are answered to, and pages of other origins (CORS)."""
