//! How commands reach the running AECL: over the socket in its data directory.
