"""Rate limits: quotas of cost by account or address, counted in this process or in Redis for all of them."""
