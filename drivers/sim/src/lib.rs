//! A seeded wire in virtual time, for tests.
