//! Many clients, slow clients, clients that go away.

use super::content::compare_noise;
use super::http::{Client, request};
use super::sites::{self, INDEX, Noise};
use super::{Outcome, World};
use crate::text::MIB;
use anyhow::{Context, Result, bail};
use rustix::net::sockopt;
use std::io::Read;
use std::time::{Duration, Instant};

/// Connections that are open at the same time.
const TOGETHER_CNT: usize = 200;
/// How long a client stops reading.
const STALL: Duration = Duration::from_secs(5);
/// Transfers that are aborted.
const ABORTS_CNT: usize = 500;
/// Bytes of the file that a stalled or aborted client asks for: more than all buffers on the way.
const NOISE_LEN: u64 = 24 * MIB;

/// All connections are open when their second requests come, all at once.
pub(super) fn together(world: &mut World) -> Result<Outcome> {
    let mut served = world.serve(&sites::made(MIB)?, |_| {})?;
    let whole = request("GET", "/index.html", "");
    let mut clients = Vec::with_capacity(TOGETHER_CNT);
    for idx in 0..TOGETHER_CNT {
        // QEMU's own network accepts one connection at a time and lets the host's kernel try again
        // after a second: an answer to each before the next is opened keeps that out of the test.
        let mut client = Client::connect(served.at).with_context(|| format!("client {idx}"))?;
        client.get("/index.html")?.expect(200)?;
        clients.push(client);
    }
    let (first, rest) = whole.split_at(whole.len() / 2);
    for part in [first, rest] {
        for client in &mut clients {
            client.send(part)?;
        }
    }
    for (idx, client) in clients.iter_mut().enumerate() {
        let answer = client
            .answer(true)
            .with_context(|| format!("client {idx}"))?;
        answer.expect(200)?;
        if answer.body != INDEX {
            bail!("client {idx}: other bytes");
        }
    }
    // Still all open: each gets a second answer, last one first.
    for client in clients.iter_mut().rev() {
        client.get("/index.html")?.expect(200)?;
    }
    drop(clients);
    served.wait_all_home()?;
    served.finish()
}

/// One client stops in mid-transfer; others are served meanwhile; then it reads on.
pub(super) fn stalled(world: &mut World) -> Result<Outcome> {
    let mut served = world.serve(&sites::made(NOISE_LEN)?, |_| {})?;
    let mut slow = Client::connect(served.at)?;
    slow.send(&request("GET", "/noise.bin", ""))?;
    slow.header()?.expect(200)?;
    let mut noise = Noise::new(NOISE_LEN);
    compare_noise(&mut slow, &mut noise, MIB)?;
    let until = Instant::now() + STALL;
    while Instant::now() < until {
        let mut other = Client::connect(served.at)?;
        other
            .get("/index.html")
            .context("beside the stalled client")?
            .expect(200)?;
        std::thread::sleep(Duration::from_millis(250));
    }
    compare_noise(&mut slow, &mut noise, NOISE_LEN - MIB).context("after the stall")?;
    slow.get("/index.html")
        .context("on the same connection")?
        .expect(200)?;
    drop(slow);
    served.wait_all_home()?;
    served.finish()
}

/// Resets in mid-transfer, at different points; then everything is free again.
pub(super) fn aborts(world: &mut World) -> Result<Outcome> {
    let mut served = world.serve(&sites::made(NOISE_LEN)?, |_| {})?;
    let mut bytes = vec![0; 1 << 16];
    for idx in 0..ABORTS_CNT {
        let mut client = Client::connect(served.at).with_context(|| format!("abort {idx}"))?;
        client.send(&request("GET", "/noise.bin", ""))?;
        client
            .header()
            .with_context(|| format!("abort {idx}"))?
            .expect(200)?;
        let part = (idx * 131) % bytes.len();
        client.stream.read_exact(&mut bytes[..part])?;
        // A close without lingering is a reset.
        sockopt::set_socket_linger(client.stream.get_ref(), Some(Duration::ZERO))?;
    }
    served.wait_all_home()?;
    served.finish()
}
