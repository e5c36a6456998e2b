"""What is sent to the API: selections of everything, input that is wrong, and what nobody thought of."""
