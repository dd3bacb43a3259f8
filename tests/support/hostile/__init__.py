"""An app for the workers of a test: node types that do harm, and one that leaves a trace outside of the database."""
