"""`fashion-wallet reconcile`: finds where the two stores have come apart, and mends what can be mended without loss."""
