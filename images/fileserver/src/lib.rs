//! The application: HTTP over files in memory.
