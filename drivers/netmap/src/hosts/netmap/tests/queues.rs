//! Several ring pairs, each bound by itself: a port for each core, and content that all of them
//! send.

use super::*;

fn wanted_by(queues: u16) -> Wanted {
    Wanted { queues, ..wanted() }
}

/// A port for each ring pair of `eth0`.
fn all(fake: &Fake, queues: u16) -> Vec<Started<FakeHost>> {
    let wanted = wanted_by(queues);
    let spec = Spec::parse("netmap:eth0").expect("a spec");
    let opened = NetmapHost::open_on(fake, &spec, &wanted).expect("a port");
    let mut ports = Vec::from([opened.start(&wanted).expect("in order")]);
    let content = ports[0].port.content();
    for more in ports[0].port.host().take_more() {
        let opened = NetmapHost::join_on(more).expect("a ring pair");
        ports.push(opened.start_beside(content).expect("in order"));
    }
    ports
}

#[test]
fn each_ring_pair_is_a_port_of_its_own() {
    for adapter in [Adapter::Emulated, NATIVE] {
        let fake = Fake::new(adapter);
        fake.with(|machine| machine.rings = 3);
        let mut ports = all(&fake, 3);
        assert_eq!(ports.len(), 3);
        for (ring, port) in (0_u8..).zip(&mut ports) {
            fake.with(|machine| machine.syncs.clear());
            send(port, &frame(ring, 60));
            port.queue.rings().1.sync();
            fake.port("eth0", |eth0| {
                let incoming = match ring {
                    0 => &mut eth0.incoming,
                    ring => eth0.incoming_at.entry(ring.into()).or_default(),
                };
                incoming.push_back(frame(ring, 90));
            });
            assert_eq!(port.queue.rings().0.sync(), 1);
            let packet = port.queue.rings().0.recv().expect("one");
            assert_eq!(packet.frame.bytes(), frame(ring, 90));
            // A sync of its own rings each, and of no other's.
            assert_eq!(fake.with(|machine| machine.syncs.len()), 2);
        }
        fake.port("eth0", |eth0| {
            assert_eq!(eth0.sent, [frame(0, 60)]);
            let others: Vec<_> = eth0.sent_by.values().flatten().cloned().collect();
            assert_eq!(others, [frame(1, 60), frame(2, 60)]);
        });
        for port in ports {
            drop(port.queue);
            assert!(port.pool.all_home());
            port.port.close(port.pool).expect("its own pool");
        }
    }
}

#[test]
fn all_of_them_send_the_content_of_the_first() {
    let fake = Fake::new(NATIVE);
    fake.with(|machine| machine.rings = 2);
    let mut ports = all(&fake, 2);
    let content: &'static [u8] = frame(7, 5_000).leak();
    let placed = ports[0].port.place(content).expect("room");
    for port in &mut ports {
        let mut head = port.pool.alloc(0).expect("a frame");
        head.append(&frame(1, 54)).expect("room");
        let mut packet = TxPacket::new(head, TxOffload::default());
        let body = Fragment::Content(&placed[1_500..2_960]);
        packet.append(body).expect("the first");
        port.queue.rings().1.send(packet).expect("space");
        port.queue.rings().1.sync();
        assert_eq!(port.queue.counters().tx.content_copied, 0);
    }
    let expected = [frame(1, 54), content[1_500..2_960].to_vec()].concat();
    fake.port("eth0", |eth0| {
        assert!(eth0.sent == [expected.clone()]);
        assert!(eth0.sent_by[&1] == [expected]);
    });
}

#[test]
fn as_many_cores_as_ring_pairs_or_none() {
    for (rings, spec, said) in [
        (4, "netmap:eth0", "eth0: 2 cores, and it has queues for 4"),
        (1, "netmap:eth0", "eth0: 2 cores, and it has queues for 1"),
        (2, "netmap:eth0*", "the rings of the host's stack: 2 cores"),
        (1, "netmap:a{1", "a{1: 2 cores, and it has queues for 1"),
    ] {
        let fake = Fake::new(Adapter::Emulated);
        fake.with(|machine| machine.rings = rings);
        let spec = Spec::parse(spec).expect("a spec");
        let opened = NetmapHost::open_on(&fake, &spec, &wanted_by(2));
        let error = opened.err().expect("refused").to_string();
        assert!(error.contains(said), "{error}");
    }
}
