//! Paths within a site: UTF-8, no leading and no trailing slash, no empty, `.` or `..` component.
//! The root is the empty path.

use super::error::Fault;

/// Longest path, in bytes. Longer than any URL that browsers and proxies agree on, and short
/// enough for buffers on the stack.
pub const PATH_MAX: usize = 1024;

/// A path where it lies in the archive: a ustar header splits a long one in two at a slash.
#[derive(Clone, Copy, Default)]
pub(super) struct Path {
    prefix: &'static [u8],
    name: &'static [u8],
}

impl Path {
    /// The root.
    pub(super) const EMPTY: Self = Self {
        prefix: &[],
        name: &[],
    };

    /// A path as the archive has it, without `./` in front and slashes at the end.
    /// `was_folder` says that there was such a slash.
    pub(super) fn trim(mut prefix: &'static [u8], mut name: &'static [u8]) -> (Self, bool) {
        if !prefix.is_empty() {
            prefix = trim_front(prefix);
        }
        if prefix == b"." {
            prefix = &[];
        }
        if prefix.is_empty() {
            name = trim_front(name);
        }
        let mut was_folder = false;
        while let Some(shorter) = name.strip_suffix(b"/")
            && !shorter.is_empty()
        {
            (name, was_folder) = (shorter, true);
        }
        if prefix.is_empty() && name == b"." {
            (name, was_folder) = (&[], true);
        }
        (Self { prefix, name }, was_folder)
    }

    /// The path's part before the slash at `slash`, an index into the joined path.
    pub(super) fn up_to(&self, slash: usize) -> Self {
        if self.prefix.is_empty() {
            return Self {
                prefix: &[],
                name: self.name.get(..slash).unwrap_or(&[]),
            };
        }
        match slash.checked_sub(self.prefix.len()) {
            None => Self {
                prefix: &[],
                name: self.prefix.get(..slash).unwrap_or(&[]),
            },
            Some(0) => Self {
                prefix: &[],
                name: self.prefix,
            },
            Some(past) => Self {
                prefix: self.prefix,
                name: self.name.get(..past - 1).unwrap_or(&[]),
            },
        }
    }

    /// The end of the path that is in one piece: holds at least the last component.
    pub(super) fn name(&self) -> &'static [u8] {
        self.name
    }

    /// The path, when it has one component at most.
    pub(super) fn single(&self) -> Option<&'static [u8]> {
        let is_single = self.prefix.is_empty() && !self.name.contains(&b'/');
        is_single.then_some(self.name)
    }

    /// Bytes of the joined path.
    pub(super) fn len(&self) -> usize {
        match self.prefix.len() {
            0 => self.name.len(),
            prefix_len => prefix_len + 1 + self.name.len(),
        }
    }

    /// Whether `path` is this one.
    #[inline]
    pub(super) fn is(&self, path: &[u8]) -> bool {
        if self.prefix.is_empty() {
            return self.name == path;
        }
        path.len() == self.len()
            && path.starts_with(self.prefix)
            && path.get(self.prefix.len()) == Some(&b'/')
            && path.ends_with(self.name)
    }

    /// The path in one piece.
    pub(super) fn join<'b>(&self, out: &'b mut PathBuf) -> Result<&'b [u8], Fault> {
        out.clear();
        if !self.prefix.is_empty() {
            out.append(self.prefix)?;
            out.append(b"/")?;
        }
        out.append(self.name)?;
        Ok(out.as_bytes())
    }
}

fn trim_front(mut name: &'static [u8]) -> &'static [u8] {
    while let Some(mut rest) = name.strip_prefix(b"./") {
        while let Some(shorter) = rest.strip_prefix(b"/") {
            rest = shorter;
        }
        name = rest;
    }
    name
}

/// Whether a joined path may name a file of the site.
pub(super) fn check(path: &[u8]) -> Result<(), Fault> {
    if path.starts_with(b"/") {
        return Err(Fault::Absolute);
    }
    if path.contains(&0) {
        return Err(Fault::Nul);
    }
    if core::str::from_utf8(path).is_err() {
        return Err(Fault::NotUtf8);
    }
    if path.is_empty() {
        return Ok(());
    }
    path.split(|&byte| byte == b'/')
        .try_for_each(|component| match component {
            b".." => Err(Fault::DotDot),
            b"" | b"." => Err(Fault::NotNormal),
            _ => Ok(()),
        })
}

/// A path under construction, of at most [`PATH_MAX`] bytes.
pub(crate) struct PathBuf {
    bytes: [u8; PATH_MAX],
    len: usize,
}

impl PathBuf {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: [0; PATH_MAX],
            len: 0,
        }
    }

    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    /// Adds bytes as they are.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let end = self
            .len
            .checked_add(bytes.len())
            .ok_or(Fault::PathTooLong)?;
        let room = self
            .bytes
            .get_mut(self.len..end)
            .ok_or(Fault::PathTooLong)?;
        room.copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    /// Shortens the path.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Walks on from here along a relative path: RFC 3986 5.2.4, empty components skipped.
    ///
    /// # Errors
    /// `LinkOutside` when `..` leads above the root, `PathTooLong`.
    pub(crate) fn walk(&mut self, relative: &[u8]) -> Result<(), Fault> {
        for component in relative.split(|&byte| byte == b'/') {
            match component {
                b"" | b"." => {}
                b".." if self.len == 0 => return Err(Fault::LinkOutside),
                b".." => self.pop(),
                _ => {
                    if self.len > 0 {
                        self.append(b"/")?;
                    }
                    self.append(component)?;
                }
            }
        }
        Ok(())
    }

    /// Takes the last component off.
    pub(crate) fn pop(&mut self) {
        let slash = self.as_bytes().iter().rposition(|&byte| byte == b'/');
        self.truncate(slash.unwrap_or(0));
    }
}
