//! What all cores serve with, and what each of them makes of it.

use std::cell::RefCell;
use std::error::Error;
use std::sync::Arc;

use simoom::tcp::{ListenerId, Settings};
use simoom::{Duration, Instant, Sums};
use simoom_capture::{Slot, Store};
use simoom_fileserver::accesslog::{Log, PLACES, Place};
use simoom_fileserver::admin::{Admin, CAPTURE_BYTES, CAPTURE_SLOTS, Listening, Shown};
use simoom_fileserver::app::{Addresses, FileServer, SCRATCH_LEN, Scratches};
use simoom_fileserver::front::Front;
use simoom_fileserver::http::{self, Server};
use simoom_fileserver::options::{Options, Time};
use simoom_fileserver::site::Site;
use simoom_netmap::NetmapPort;
use simoom_netmap::hosts::{Open, Takes};
use simoom_platform::linux::{
    Board, Clock, Cores, Desks, Hooks, Mesh, Net, Printer, Process, Signals, seed,
};
use simoom_platform::net::{Served, Sizes};
use simoom_ring::Port;

use super::Args;

/// A core's network.
pub(crate) type ServedOn<H> = Served<Front, NetmapPort<'static, H>>;

/// What all cores serve with.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) site: Site,
    pub(crate) options: Options,
    pub(crate) tcp: Settings,
    /// Of the site's bytes, where we sum.
    pub(crate) sums: Option<&'static Sums>,
    pub(crate) args: Args,
    pub(crate) clock: Clock,
    pub(crate) board: Arc<Board>,
    /// Of several cores.
    pub(crate) desks: Vec<Desks<Shown>>,
    pub(crate) cores: Option<Cores>,
}

impl Shared {
    /// The application of one core.
    pub(crate) fn app(&self, idx: usize) -> Result<Front, Box<dyn Error>> {
        let Self { site, options, .. } = self;
        let scratches = Scratches::new(vec![0; SCRATCHES * SCRATCH_LEN].leak());
        let mut app = FileServer::new(Server::new(*site, options.limits), scratches);
        let known = vec![http::Place::EMPTY; http::KNOWN_CNT];
        app.set_known(http::Known::new(known.leak()));
        if let Time::Told(unix) = options.time {
            app.set_clock(Some((unix, self.clock.now())));
        }
        let addresses = Addresses::new(vec![0; ADDRESS_COUNTERS].leak(), seed()?);
        app.set_bounds(options.bounds_for(SIZES.conns), addresses);
        app.set_sums(self.sums);
        if let Some(sink) = options.look.log {
            app.set_log(Log::new(sink, vec![Place::EMPTY; PLACES].leak()));
        }
        let interface = self.args.net.clone().leak();
        let mut admin = Admin::new(&options.look, interface);
        if let Some(desk) = self.desks.get(idx) {
            // For as long as the process lives.
            let board = Box::leak(Box::new(Arc::clone(&self.board)));
            admin.set_cores(&**board, Box::leak(Box::new(desk.clone())));
        }
        Ok(Front::new(app, admin))
    }

    /// The loop's ground and the network of one core, which listens.
    pub(crate) fn process<H: Open + 'static>(
        &self,
        net: Net<Front, H>,
        signals: Signals,
        mesh: Mesh,
    ) -> Result<(Process<Front>, ServedOn<H>), Box<dyn Error>> {
        let Net {
            mut served,
            wake,
            syscalls,
            bound: _,
        } = net;
        let args = &self.args;
        let listener = listen(&mut served, args.port, BACKLOG)?;
        look_inside(&mut served, self.options.look.listening)?;
        let process = Process {
            clock: self.clock,
            signals,
            wake,
            syscalls,
            busy_poll: Duration::from_micros(args.busy_poll.into()),
            has_stats: args.stats,
            listener,
            takes: Takes::default(),
            told: Box::new(|_| {}),
            printer: Printer::default(),
            hooks: Hooks {
                answered_cnt: |app: &Front| app.files.counters().answered,
                set_time: match self.options.time {
                    Time::Machine => tell_time,
                    // Said once, when the server was made.
                    _ => |_, _, _| {},
                },
            },
            mesh,
            board: Arc::clone(&self.board),
            state: Default::default(),
        };
        Ok((process, served))
    }
}

/// Tells the server the time, once a second.
fn tell_time(app: &mut Front, unix: i64, now: Instant) {
    app.files.set_clock(Some((unix, now)));
    // In the midst of serving.
    #[cfg(feature = "fault")]
    if now > Instant::ZERO + Duration::from_secs(1)
        && std::env::var_os("SIMOOM_FAULT").is_some_and(|fault| fault == "panic")
    {
        panic!("the feature `fault` has it so");
    }
}

fn listen<P: Port<'static>>(
    served: &mut Served<Front, P>,
    port: u16,
    backlog: u16,
) -> Result<ListenerId, Box<dyn Error>> {
    let listener = served.stack.listen(port, backlog);
    Ok(listener.map_err(|error| error.to_string())?)
}

/// Listens on the admin port, if there is to be one, with memory for captures.
fn look_inside<P: Port<'static>>(
    served: &mut Served<Front, P>,
    listening: Option<Listening>,
) -> Result<(), Box<dyn Error>> {
    let Some(at) = listening else {
        return Ok(());
    };
    listen(served, at.port, ADMIN_BACKLOG)?;
    let bytes = vec![0; CAPTURE_BYTES].leak();
    let slots = vec![Slot::EMPTY; CAPTURE_SLOTS].leak();
    served.capture = RefCell::new(Store::new(bytes, slots));
    Ok(())
}

/// 16 MiB of frames for each core, and twice as many connections, of which those at rest hold
/// none.
pub(crate) const SIZES: Sizes = Sizes::with(8_192, 16_384);

/// Heads of requests that straddle frames at once.
const SCRATCHES: usize = 64;

/// Half-open connections at most; to the admin port.
const BACKLOG: u16 = 4_096;
const ADMIN_BACKLOG: u16 = 16;

/// Counters of connections by address.
const ADDRESS_COUNTERS: usize = 131_072;
