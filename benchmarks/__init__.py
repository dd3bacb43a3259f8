"""How fast Kalcifer is on this machine: workloads that run through the product's own processes."""
