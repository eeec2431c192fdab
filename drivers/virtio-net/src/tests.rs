pub(crate) mod fake_ring;
pub(crate) mod host;
