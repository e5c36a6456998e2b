"""What keeps a process from being overloaded: limits of connections and unread responses, and the shedding of load."""
