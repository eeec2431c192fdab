//! A virtio-net driver with its own split rings.
