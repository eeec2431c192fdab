//! What the fuzz target of the admin port does: whatever is said to it, over two stacks on a wire
//! in virtual time, is answered once and well-formed or not at all, and leaves nothing behind.
//!
//! ```text
//!   look       1 byte: length of a piece │ 1 byte: how the client behaves │ bytes of a connection
//! ```

#[allow(dead_code)]
#[path = "../network/world.rs"]
mod world;

use std::cell::RefCell;

use simoom::Duration;
use simoom_capture::{Slot, Store};
use simoom_fileserver::accesslog::{Log, Place, Sink};
use simoom_fileserver::admin::{Admin, Listening, PATIENCE, Words};
use simoom_fileserver::app::{FileServer, SCRATCH_LEN, Scratches};
use simoom_fileserver::front::Front;
use simoom_sim::PortConfig;
use world::{Habits, Sizes, World};

const PORT: u16 = 9_090;

/// Who takes nothing is given up by the server, who never ends by the client, well before.
const LIMIT: Duration = Duration::from_secs(120);

/// Bytes after which a client has seen enough: a capture would go on for an hour.
const ENOUGH: usize = 200_000;

thread_local! {
    /// One world for all inputs: each must leave it as it was.
    static WORLD: RefCell<World<Front>> = RefCell::new(new_world());
}

fn new_world() -> World<Front> {
    let files = [("index.html".to_owned(), b"<p>home</p>".to_vec())];
    let scratches = Scratches::new(vec![0; SCRATCH_LEN].leak());
    let mut files = FileServer::new(world::server(&files), scratches);
    files.set_log(Log::new(Sink::Console, vec![Place::EMPTY; 8].leak()));
    let words = Words {
        listening: Some(Listening {
            addr: None,
            port: PORT,
        }),
        conns_max: 4,
        log: None,
    };
    let app = Front::new(files, Admin::new(&words, "sim0"));
    let sizes = Sizes {
        frames: 256,
        conns: 16,
        bodies: 256,
    };
    let mut world = World::of(app, 1, PortConfig::plain, sizes);
    world.server.stack.listen(PORT, 16).unwrap();
    let store = Store::new(vec![0; 16 << 10].leak(), vec![Slot::EMPTY; 64].leak());
    world.server.capture = RefCell::new(store);
    world
}

/// Says the bytes at once, and in pieces while somebody else asks the site.
pub(crate) fn look(bytes: &[u8]) {
    let Some(([piece, habit], say)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    WORLD.with_borrow_mut(|world| {
        let whole = status(world, say, Habits::default());
        let habits = Habits {
            piece_len: usize::from(*piece) + 1,
            closes_early: habit & 1 != 0,
            takes_max: match habit & 4 {
                0 => usize::MAX,
                _ => usize::from(*habit) * 16,
            },
            ..Habits::default()
        };
        let pieces = status(world, say, habits);
        // A head that is whole is read alike, however it came.
        if let (Some(whole @ (200 | 404 | 405)), Some(pieces)) = (whole, pieces) {
            assert_eq!(whole, pieces, "in pieces: {}", say.escape_ascii());
        }
        let levels = world.server.stack.levels();
        assert_eq!((levels.conns, levels.bodies), (0, 0));
        assert_eq!(world.server.app.admin.seats_taken(), 0);
        assert!(!world.server.capture.borrow().is_on(), "it still captures");
        // Talks pile up in the world, of which none lives any more.
        world.client.app.talks.clear();
    });
}

/// The status that a client gets, if its answer began; everything is over after it.
fn status(world: &mut World<Front>, say: &[u8], habits: Habits) -> Option<u16> {
    let refused = world.server.app.admin.counters().conns_refused;
    let habits = Habits {
        aborts_at: ENOUGH,
        aborts_after: Some(PATIENCE + Duration::from_secs(5)),
        ..habits
    };
    let talk = world.open_to(PORT, say, habits);
    let request = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let other = world.open(request, Habits::default());
    world.run(LIMIT, World::is_silent);
    assert!(world.heard(other).starts_with(b"HTTP/1.1 200 "));
    assert_eq!(world.server.app.admin.counters().conns_refused, refused);
    let is_whole = habits.takes_max == usize::MAX && world.talk(talk).finished_at.is_some();
    check(world.heard(talk), is_whole, say.starts_with(b"HEAD"))
}

/// One answer and nothing else, as HTTP has it; `is_whole` if it was heard to its end.
fn check(heard: &[u8], is_whole: bool, is_head: bool) -> Option<u16> {
    let end = heard.windows(4).position(|four| four == b"\r\n\r\n");
    let Some(end) = end else {
        assert!(!is_whole || heard.is_empty(), "half a head");
        return None;
    };
    let head = std::str::from_utf8(&heard[..end]).expect("text");
    let is_plain = |line: &str| line.bytes().all(|byte| (32..127).contains(&byte));
    assert!(head.split("\r\n").all(is_plain), "{head:?}");
    let status = head
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3));
    let status: u16 = status.expect("a status").parse().expect("digits");
    assert!(
        matches!(status, 200 | 400 | 404 | 405 | 409 | 431 | 503),
        "{head}"
    );
    let body = &heard[end + 4..];
    let field = |name: &str| {
        let mut lines = head.split("\r\n").filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    assert_eq!(field("Connection"), Some("close"));
    match (field("Content-Length"), field("Transfer-Encoding")) {
        (Some(_), Some(_)) => panic!("two lengths: {head}"),
        (Some(len), None) => {
            let len = len.parse().expect("a length");
            assert!(body.len() == len || body.len() < len && (!is_whole || is_head));
        }
        (None, Some(coding)) => {
            assert_eq!(coding, "chunked");
            check_chunks(body, is_whole && !is_head);
        }
        (None, None) => {}
    }
    Some(status)
}

/// Chunks of which none is torn, but at the end of what was heard.
fn check_chunks(mut rest: &[u8], is_whole: bool) {
    while !rest.is_empty() {
        let Some(line) = rest.windows(2).position(|two| two == b"\r\n") else {
            break;
        };
        let digits = std::str::from_utf8(&rest[..line]).expect("text");
        let len = usize::from_str_radix(digits, 16).expect("a length");
        let Some((chunk, after)) = rest[line + 2..].split_at_checked(len + 2) else {
            break;
        };
        assert!(chunk.ends_with(b"\r\n"));
        if len == 0 {
            assert!(after.is_empty(), "something behind the last chunk");
            return;
        }
        rest = after;
    }
    assert!(!is_whole, "chunks without an end");
}
