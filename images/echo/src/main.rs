//! The smallest image, and a model for others: TCP and UDP echo on port 7 (RFC 862).
//!
//! ```text
//!   image! ─► main ─ Net::start ─ listen, bind ─ run ─► Echo: received ─ send
//! ```
//!
//! `selftest` on the command line runs the platform's self-test instead.

#![no_std]
#![no_main]
#![deny(unsafe_code)]

use simoom::tcp::cc::Chosen;
use simoom::tcp::{App, Conn};
use simoom::udp::UdpOut;
use simoom::{Addr, Endpoint};
use simoom_platform::net::Attend;
use simoom_platform::x86_64::{ExitCode, Machine, console, net, run, selftest};
use simoom_ring::TxRing;

simoom_platform::image!(main);

/// RFC 862.
const PORT: u16 = 7;

/// Half-open connections at most.
const BACKLOG: u16 = 256;

fn main(mut machine: Machine) -> ExitCode {
    if let Some(code) = selftest::asked(&mut machine) {
        return code;
    }
    for argument in machine.command_line.unknown(&["selftest"]) {
        console!("simoom: warning: unknown argument: {argument}");
    }
    let mut net = match net::Net::start(&mut machine) {
        Ok(net) => net,
        Err(error) => return failed(&error),
    };
    if let Err(error) = net.stack.listen(PORT, BACKLOG) {
        return failed(&error);
    }
    if let Err(error) = net.stack.bind(PORT) {
        return failed(&error);
    }
    let told = |addr: Addr| console!("simoom: echo on {}", Endpoint::new(addr, PORT));
    run::run(&machine, net, &mut Echo, told)
}

fn failed(error: &dyn core::fmt::Display) -> ExitCode {
    console!("simoom: error: {error}");
    ExitCode::FAILURE
}

/// Sends back what comes. It keeps nothing: what cannot be sent yet is not taken, so the far side
/// stops sending.
struct Echo;

impl Attend for Echo {}

impl App for Echo {
    type Conn = ();
    type Congestion = Chosen;

    fn accepted(&mut self, conn: &mut Conn<'_, '_, Chosen>) {
        conn.set_nodelay(true);
    }

    fn received(&mut self, conn: &mut Conn<'_, '_, Chosen>, _: &mut (), bytes: &[u8]) -> usize {
        let len = bytes.len().min(conn.generated_max());
        match conn.send(&bytes[..len]) {
            Ok(()) => len,
            Err(_) => 0,
        }
    }

    fn datagram<'p, T: TxRing<'p>>(
        &mut self,
        out: &mut UdpOut<'_, 'p, T>,
        local: Endpoint,
        remote: Endpoint,
        bytes: &[u8],
    ) {
        // A datagram that finds no room is lost, as datagrams may be. An answer to an echo port
        // would come back for ever.
        if remote.port != PORT {
            let _ = out.send(remote, local.port, bytes);
        }
    }
}
