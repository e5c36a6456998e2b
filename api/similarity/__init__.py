"""What is similar to what: the same for items and for designs, which are made of items."""
