//! The HTTP API: JSON in, JSON out, problem details for what goes wrong.
