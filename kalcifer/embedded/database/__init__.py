"""A database backend that brings the bundled servers up when the first connection is made."""
