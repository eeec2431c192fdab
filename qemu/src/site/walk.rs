//! Lists a folder: every file under it, by the name that it will be served under.

use super::pack::{Entry, Source};
use anyhow::{Context, Result, bail};
use std::fs::{self, Metadata};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// Deepest nesting of folders; deeper is a loop or a mistake.
const DEPTH_MAX: usize = 64;

/// Every regular file under `root`, sorted by name.
///
/// A link to something inside `root` is followed; one that leaves it is refused, for it would
/// publish what nobody meant to.
///
/// # Errors
/// The first entry that cannot be served, with the reason: unreadable, a name that is not UTF-8, a
/// link that leaves the folder, dangles or loops, a socket, pipe or device.
pub(super) fn walk(root: &Path) -> Result<Vec<Entry>> {
    let real = fs::canonicalize(root).with_context(|| root.display().to_string())?;
    let mut walk = Walk {
        root: real.clone(),
        open: vec![real],
        found: Vec::new(),
    };
    walk.folder(root, "")?;
    walk.found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(walk.found)
}

/// The walk's state: where it may go, where it is, what it found.
struct Walk {
    root: PathBuf,
    /// Real paths of the folders that we are in, outermost first: a link to one of them loops.
    open: Vec<PathBuf>,
    found: Vec<Entry>,
}

impl Walk {
    fn folder(&mut self, path: &Path, prefix: &str) -> Result<()> {
        if self.open.len() > DEPTH_MAX {
            bail!("{}: more than {DEPTH_MAX} folders deep", path.display());
        }
        let entries = fs::read_dir(path).with_context(|| unreadable(path))?;
        for entry in entries {
            let path = entry.with_context(|| unreadable(path))?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                bail!("{}: the name is not UTF-8", path.display());
            };
            let name = format!("{prefix}{name}");
            let own = fs::symlink_metadata(&path).with_context(|| unreadable(&path))?;
            let meta = if own.is_symlink() {
                self.follow(&path)?
            } else {
                own
            };
            self.entry(path, name, &meta)?;
        }
        Ok(())
    }

    fn entry(&mut self, path: PathBuf, name: String, meta: &Metadata) -> Result<()> {
        if meta.is_dir() {
            let real = fs::canonicalize(&path).with_context(|| unreadable(&path))?;
            if self.open.contains(&real) {
                bail!("{}: a link to a folder that holds it", path.display());
            }
            self.open.push(real);
            self.folder(&path, &format!("{name}/"))?;
            self.open.pop();
        } else if meta.is_file() {
            self.found.push(Entry {
                name,
                source: Source::Disk(path),
            });
        } else {
            bail!("{}: {} cannot be served", path.display(), kind_of(meta));
        }
        Ok(())
    }

    /// What a link leads to, as long as that is inside the root.
    fn follow(&self, path: &Path) -> Result<Metadata> {
        let shown = path.display();
        let real = fs::canonicalize(path)
            .with_context(|| format!("{shown}: a link that leads nowhere"))?;
        if !real.starts_with(&self.root) {
            bail!("{shown}: a link out of the folder, to {}", real.display());
        }
        fs::metadata(path).with_context(|| unreadable(path))
    }
}

fn unreadable(path: &Path) -> String {
    format!("{}: not readable", path.display())
}

fn kind_of(meta: &Metadata) -> &'static str {
    let kind = meta.file_type();
    if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}
