//! Lines on standard output that nobody waits for: a thread of their own writes them.

use std::io::Write;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::vec::Vec;

/// Pieces that wait for the thread at most: whoever does not read our output holds up nobody.
const PIECES_MAX: usize = 256;

/// What a process prints by the way.
#[derive(Debug, Default)]
pub struct Printer {
    pieces: Option<SyncSender<Vec<u8>>>,
}

impl Printer {
    /// Takes all of `text`, or nothing while too much waits: how many bytes.
    pub fn offer(&mut self, text: &[u8]) -> usize {
        let pieces = self.pieces.get_or_insert_with(start);
        match pieces.try_send(text.to_vec()) {
            Ok(()) => text.len(),
            Err(_) => 0,
        }
    }
}

/// Starts the thread; it ends with the process.
fn start() -> SyncSender<Vec<u8>> {
    let (sender, pieces) = sync_channel::<Vec<u8>>(PIECES_MAX);
    let write = move || {
        for piece in pieces {
            let mut out = std::io::stdout().lock();
            // Whoever has closed our output does not want it.
            let _ = out.write_all(&piece);
            let _ = out.flush();
        }
    };
    // Without a thread nothing is ever taken, and the application counts what it drops.
    let builder = thread::Builder::new().name("printer".into());
    let _ = builder.spawn(write);
    sender
}
