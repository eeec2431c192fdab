//! An initramfs: a cpio archive in the "newc" form, as Linux's
//! `Documentation/driver-api/early-userspace/buffer-format.rst` has it.

/// An archive in the making.
#[derive(Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    files_cnt: u32,
}

/// Bits of a mode that say what a file is.
const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const CHARACTER_DEVICE: u32 = 0o020_000;

impl Archive {
    /// A folder.
    pub(crate) fn folder(&mut self, name: &str) {
        self.entry(name, DIRECTORY | 0o755, (0, 0), &[]);
    }

    /// A file that may be run, too.
    pub(crate) fn file(&mut self, name: &str, bytes: &[u8]) {
        self.entry(name, REGULAR | 0o755, (0, 0), bytes);
    }

    /// A character device.
    pub(crate) fn device(&mut self, name: &str, number: (u32, u32)) {
        self.entry(name, CHARACTER_DEVICE | 0o600, number, &[]);
    }

    /// The whole of it.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, device: (u32, u32), bytes: &[u8]) {
        self.files_cnt += 1;
        let name_len = name.len() + 1;
        // Inode, mode, user, group, links, time, length, device, the device it is, name, checksum.
        let fields = [
            self.files_cnt as usize,
            mode as usize,
            0,
            0,
            1,
            0,
            bytes.len(),
            0,
            0,
            device.0 as usize,
            device.1 as usize,
            name_len,
            0,
        ];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(bytes);
        self.pad();
    }

    fn pad(&mut self) {
        let len = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(len, 0);
    }
}

#[cfg(test)]
mod tests;
