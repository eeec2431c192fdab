//! The process's own loop on ports of a fake `/dev/netmap`, in virtual time: the client has the
//! other end of the wire, and its turn whenever the server would sleep.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::net::Ipv4Addr;

use simoom::tcp::Settings;
use simoom::{Cidr, Duration, Endpoint, Instant};
use simoom_fileserver::app::{FileServer, SCRATCH_LEN, Scratches};
use simoom_fileserver::http::{Limits, Server};
use simoom_fileserver::site::{self, Site};
use simoom_netmap::hosts::netmap::fake::{Dims, Fake, FakeFd};
use simoom_netmap::hosts::netmap::{Adapter, NetmapHost};
use simoom_netmap::hosts::{Spec, Started, Takes, Wanted};
use simoom_netmap::{NetmapPort, NetmapQueue};
use simoom_platform::linux::{Addressing, Clock, Net, content};
use simoom_platform::net::{End, Ground, Served, serve};

use super::browser::{Browser, SIZES};
use super::sites::{self, File};

type FakeHost = NetmapHost<FakeFd>;
type FakePort = NetmapPort<'static, FakeHost>;

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 2);
const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 3);
const NATIVE: Adapter = Adapter::Native {
    can_gather: true,
    is_veth: false,
};
/// Far more than it takes, in virtual time.
const LIMIT: Duration = Duration::from_secs(600);

/// What the loop stands on.
struct World<'w> {
    fake: &'w Fake,
    /// The server's port, and the client's.
    ports: [&'static str; 2],
    browser: RefCell<&'w mut Browser<FakeHost>>,
    now: Cell<Instant>,
    begun: Instant,
    said: RefCell<Vec<String>>,
}

impl World<'_> {
    /// Lets the client do what it can, and the wire carry what there is.
    fn turn(&self) -> usize {
        let mut browser = self.browser.borrow_mut();
        let [server, client] = self.ports;
        let before = self.fake.cross(server, client);
        browser.step(self.now.get());
        before + self.fake.cross(server, client)
    }
}

impl Ground<FileServer, FakePort> for World<'_> {
    fn now(&self) -> Instant {
        self.now.get()
    }

    fn say(&self, line: fmt::Arguments<'_>) {
        self.said.borrow_mut().push(line.to_string());
    }

    fn print(&mut self, text: &[u8]) -> usize {
        text.len()
    }

    /// Time goes on when nothing else does.
    fn sleep(&mut self, until: Instant) {
        if self.turn() == 0 {
            let now = self.now.get();
            let until = until.min(self.browser.borrow().poll_at(now));
            self.now.set(until.max(now + Duration::from_micros(1)));
        }
        assert!(self.now.get() < self.begun + LIMIT, "it hangs");
    }

    fn spin(&self) -> Duration {
        Duration::ZERO
    }

    fn goes_on(
        &mut self,
        _: Instant,
        served: &mut Served<FileServer, FakePort>,
        _: &mut FileServer,
    ) -> bool {
        self.now.set(self.now.get() + Duration::from_micros(1));
        self.turn();
        let is_over = self.browser.borrow().is_done() && served.stack.levels().conns == 0;
        !is_over
    }

    fn is_gone(&self, queue: &NetmapQueue<'static, 'static, FakeHost>) -> bool {
        queue.is_gone()
    }
}

/// A port of the fake's.
fn started(fake: &Fake, spec: &str, content_len: usize) -> Started<FakeHost> {
    let wanted = Wanted {
        frames: SIZES.frames as u32,
        content_len,
        takes: Takes {
            addr: Some(SERVER),
            tcp_ports: vec![80],
        },
        queues: 1,
        has_passthrough: false,
        far_addr: None,
        without: Default::default(),
    };
    let spec = Spec::parse(spec).expect("a spec");
    let opened = NetmapHost::open_on(fake, &spec, &wanted).expect("a port");
    opened.start(&wanted).expect("in order")
}

struct Tables;

impl site::Memory for Tables {
    fn take<T: 'static>(&mut self, cnt: usize, init: fn() -> T) -> Option<&'static mut [T]> {
        Some((0..cnt).map(|_| init()).collect::<Vec<_>>().leak())
    }
}

/// Serves `files` on one port and fetches them from another; how many bytes of bodies were copied.
fn fetched(adapter: Adapter, ports: [&'static str; 2], specs: [&str; 2], files: Vec<File>) -> u64 {
    let tar = sites::packed(&files);
    let bufs = tar.len().div_ceil(2_048) as u32 + 4 * SIZES.frames as u32;
    let fake = Fake::sized(
        adapter,
        Dims {
            slots: 256,
            bufs,
            extra_max: bufs - 2 * SIZES.frames as u32,
        },
    );
    let mut server = started(&fake, specs[0], tar.len());
    let bytes = content::load(&mut server.port, &mut &tar[..], tar.len()).expect("room");
    let site = Site::open(bytes, site::Options::default(), 1, &mut Tables).expect("a site");
    let scratches = Scratches::new(vec![0; 8 * SCRATCH_LEN].leak());
    let mut app = FileServer::new(Server::new(site, Limits::default()), scratches);
    let addressing = Addressing::Static {
        cidr: Cidr::new(SERVER, 24).expect("24 bits"),
        gateway: None,
    };
    let clock = Clock::start();
    let net = Net::start(server, SIZES, addressing, Settings::default(), &clock);
    let mut served = net.expect("nobody else has the address").served;
    served.stack.listen(80, 1_024).expect("a free port");

    let mut browser = Browser::new(started(&fake, specs[1], 0), CLIENT, files);
    let begun = clock.now();
    browser.connect(begun, Endpoint::new(SERVER, 80));
    let mut world = World {
        fake: &fake,
        ports,
        browser: RefCell::new(&mut browser),
        now: Cell::new(begun),
        begun,
        said: RefCell::default(),
    };
    let end = serve(&mut world, &mut served, &mut app);
    assert_eq!(end, End::Asked);
    let Served {
        stack,
        queue,
        port,
        pool,
        capture: _,
    } = served;
    let counters = queue.counters();
    assert_eq!((counters.rx.resets, counters.tx.resets), (0, 0));
    let copied = stack.counters().payload_bytes_copied + counters.tx.content_copied;
    drop(stack);
    drop(queue);
    assert!(pool.all_home(), "{pool:?}");
    drop(port.close(pool).expect("its own pool"));
    browser.end();
    copied
}

#[test]
fn a_thousand_files_on_a_nic_that_gathers() {
    let specs = ["netmap:eth0", "vale0:client"];
    let copied = fetched(NATIVE, ["eth0", "vale0:client"], specs, sites::many());
    assert_eq!(copied, 0);
}

#[test]
fn a_file_of_256_mib_on_a_nic_that_gathers() {
    let specs = ["netmap:eth0", "vale0:client"];
    let copied = fetched(NATIVE, ["eth0", "vale0:client"], specs, sites::big());
    assert_eq!(copied, 0);
}

#[test]
fn a_thousand_files_on_an_emulated_adapter() {
    let specs = ["netmap:eth0", "vale0:client"];
    let files = sites::many();
    let len: usize = files.iter().map(|file| file.bytes.len()).sum();
    let copied = fetched(Adapter::Emulated, ["eth0", "vale0:client"], specs, files);
    // Each byte once: what is copied twice was lost on the way, and nothing is lost here.
    assert_eq!(copied, len as u64);
}

#[test]
fn a_thousand_files_over_a_pipe_of_netmaps() {
    let specs = ["netmap:a{1", "netmap:a}1"];
    fetched(NATIVE, ["a{1", "a}1"], specs, sites::many());
}
