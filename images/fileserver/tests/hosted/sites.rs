//! What is served, and what is expected of it: the same bytes.

/// A file of a site.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) bytes: Vec<u8>,
}

/// Over a thousand files of many sizes, from none to some frames.
pub(crate) fn many() -> Vec<File> {
    let made = |n: u64| File {
        path: format!("dir{}/file{n}.bin", n % 7),
        bytes: noise(n, (n * n * 37 % 40_009) as usize),
    };
    (0..1_024).map(made).collect()
}

/// One file of 256 MiB.
pub(crate) fn big() -> Vec<File> {
    let (path, bytes) = ("big.bin".to_owned(), noise(1, 256 << 20));
    vec![File { path, bytes }]
}

/// Bytes without a period that anything on the way has.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        bytes.extend((state ^ state >> 32).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// The site as a tar.
pub(crate) fn packed(files: &[File]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for File { path, bytes } in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(1_700_000_000);
        tar.append_data(&mut header, path, &bytes[..])
            .expect("into memory");
    }
    tar.into_inner().expect("into memory")
}
