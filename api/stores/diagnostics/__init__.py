"""What is found out about open stores: slow statements, plans, the use of pools."""
