//! A no_std TCP/IP core with zero-copy bodies over ring-buffer drivers.
