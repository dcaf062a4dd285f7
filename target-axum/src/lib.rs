//! target-axum
