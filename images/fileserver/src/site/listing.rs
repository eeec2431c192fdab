//! Pages that list a folder without an `index.html`, written at boot: names, times, sizes.

use core::borrow::Borrow;
use core::cmp::Ordering;

use super::path::PathBuf;
use super::rules::{HEADERS_NAME, REDIRECTS_NAME};
use super::table::{Content, Entry, Node, Table};
use crate::message::HeadWriter;
use crate::message::date::imf_fixdate;

/// Counts bytes, or writes them.
pub(super) struct Text<'o> {
    out: Option<&'o mut [u8]>,
    len: usize,
}

impl<'o> Text<'o> {
    pub(super) fn counting() -> Self {
        Self { out: None, len: 0 }
    }

    pub(super) fn writing(out: &'o mut [u8]) -> Self {
        Self {
            out: Some(out),
            len: 0,
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        let end = self.len.saturating_add(bytes.len());
        if let Some(out) = &mut self.out
            && let Some(room) = out.get_mut(self.len..end)
        {
            room.copy_from_slice(bytes);
        }
        self.len = end;
    }

    /// Text of a person between tags or within quotes.
    fn put_text(&mut self, text: &[u8]) {
        for byte in text {
            match byte {
                b'&' => self.put(b"&amp;"),
                b'<' => self.put(b"&lt;"),
                b'>' => self.put(b"&gt;"),
                b'"' => self.put(b"&quot;"),
                b'\'' => self.put(b"&#39;"),
                byte => self.put(&[*byte]),
            }
        }
    }

    /// A name as a relative reference. `./` in front, or a colon in it would make a scheme.
    fn put_reference(&mut self, name: &[u8]) {
        self.put(b"./");
        for byte in name {
            let mut room = [0; 3];
            let mut head = HeadWriter::new(&mut room);
            match byte {
                b'&' => head.put(b"%26"),
                b'\'' => head.put(b"%27"),
                byte => head.put_escaped(&[*byte]),
            }
            let len = head.len();
            self.put(room.get(..len).unwrap_or(&[]));
        }
    }

    fn put_decimal(&mut self, value: usize) {
        let mut room = [0; 20];
        let mut head = HeadWriter::new(&mut room);
        head.decimal(u64::try_from(value).unwrap_or(u64::MAX));
        let len = head.len();
        self.put(room.get(..len).unwrap_or(&[]));
    }
}

/// Folder and name of a path.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (
            path.get(..slash).unwrap_or(&[]),
            path.get(slash + 1..).unwrap_or(&[]),
        ),
        None => (&[], path),
    }
}

/// Puts the places of all paths in order: by folder, then folders before files, then by name.
/// Places that are not listed are left out: how many there are.
pub(super) fn sort<M: Borrow<[Entry]>>(table: &Table<M>, order: &mut [u32]) -> usize {
    let mut cnt = 0;
    for slot_idx in 0..table.slot_cnt() {
        let is_listed = table.node(slot_idx).is_some_and(is_listed);
        if let (true, Ok(slot_idx), Some(place)) =
            (is_listed, u32::try_from(slot_idx), order.get_mut(cnt))
        {
            *place = slot_idx;
            cnt += 1;
        }
    }
    let (mut a, mut b) = (PathBuf::new(), PathBuf::new());
    if let Some(order) = order.get_mut(..cnt) {
        order.sort_unstable_by(|x, y| {
            let node = |idx: &u32| table.node(*idx as usize);
            match (node(x), node(y)) {
                (Some(x), Some(y)) => compare(x, y, &mut a, &mut b),
                _ => Ordering::Equal,
            }
        });
    }
    cnt
}

fn is_listed(node: &Node) -> bool {
    let is_one = match node.content {
        Content::Vacant | Content::Link(_) => false,
        Content::File(_) | Content::Folder(_) | Content::Listed(_) | Content::Alias(_) => true,
    };
    is_one && node.path.len() > 0
}

fn compare(x: &Node, y: &Node, a: &mut PathBuf, b: &mut PathBuf) -> Ordering {
    let (a, b) = (x.path.join(a), y.path.join(b));
    let ((a_folder, a_name), (b_folder, b_name)) =
        (split(a.unwrap_or(&[])), split(b.unwrap_or(&[])));
    let is_file = |node: &Node| matches!(node.content, Content::File(_));
    a_folder
        .cmp(b_folder)
        .then(is_file(x).cmp(&is_file(y)))
        .then(a_name.cmp(b_name))
}

/// What a folder has, in order.
pub(super) fn children<'t, M: Borrow<[Entry]>>(
    table: &'t Table<M>,
    order: &'t [u32],
    folder: &[u8],
) -> impl Iterator<Item = &'t Node> {
    let mut path = PathBuf::new();
    let mut compare = |idx: &u32| {
        let joined = table
            .node(*idx as usize)
            .map(|node| node.path.join(&mut path));
        let joined = joined.and_then(Result::ok).unwrap_or(&[]);
        split(joined).0.cmp(folder)
    };
    let start = order.partition_point(|idx| compare(idx) == Ordering::Less);
    let rest = order.get(start..).unwrap_or(&[]);
    let len = rest.partition_point(|idx| compare(idx) == Ordering::Equal);
    let own = rest.get(..len).unwrap_or(&[]);
    own.iter().filter_map(|idx| table.node(*idx as usize))
}

/// Writes the listing of `folder`, which clients know as `shown`; its length.
pub(super) fn write<M: Borrow<[Entry]>>(
    table: &Table<M>,
    order: &[u32],
    folder: &[u8],
    shown: &[u8],
    mut text: Text<'_>,
) -> usize {
    text.put(b"<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n");
    text.put(b"<meta name=\"viewport\" content=\"width=device-width\">\n<title>Index of /");
    text.put_text(shown);
    text.put(b"</title>\n<style>body{font-family:sans-serif}td{padding:0 1em 0 0}</style>\n");
    text.put(b"<h1>Index of /");
    text.put_text(shown);
    text.put(b"</h1>\n<table>\n");
    if !shown.is_empty() {
        text.put(b"<tr><td><a href=\"../\">../</a><td><td>\n");
    }
    let mut path = PathBuf::new();
    for node in children(table, order, folder) {
        let (_, name) = split(node.path.join(&mut path).unwrap_or(&[]));
        if shown.is_empty() && (name == REDIRECTS_NAME || name == HEADERS_NAME) {
            continue;
        }
        let slash: &[u8] = match node.content {
            Content::File(_) => b"",
            _ => b"/",
        };
        text.put(b"<tr><td><a href=\"");
        text.put_reference(name);
        text.put(slash);
        text.put(b"\">");
        text.put_text(name);
        text.put(slash);
        text.put(b"</a><td>");
        if let Content::File(file) = &node.content {
            let date = imf_fixdate(file.mtime);
            // Day, month, year and the time, to the minute.
            text.put(date.get(5..22).unwrap_or(&[]));
            text.put(b"<td>");
            text.put_decimal(file.body.len());
        } else {
            text.put(b"<td>");
        }
        text.put(b"\n");
    }
    text.put(b"</table>\n");
    text.len
}
