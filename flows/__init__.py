"""What a flow is: flows, versions, instances and steps, and the rules of a well-formed graph."""
