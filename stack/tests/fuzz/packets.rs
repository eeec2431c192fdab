//! What else arrives: datagrams and frames of all kinds, right, nearly right, and any bytes.

use simoom::Addr;
use simoom::wire::checksum::Sum;
use simoom_ring::RxChecksum;

use super::cursor::Cursor;
use super::ends::Way;
use super::far::{ACK, FAR_IPS, FLOWS_ACTIVE, FLOWS_PASSIVE, OUR_IP, OUR_MAC, far_mac};
use super::segments::{Shape, places};
use super::world::{World, arp};

/// A frame of an IPv4 datagram from a far side, with its checksums unless they are to be wrong.
pub(super) fn datagram_of(
    remote_ip: [u8; 4],
    proto: u8,
    mut body: Vec<u8>,
    shape: &Shape,
) -> (RxChecksum, Vec<u8>) {
    let field = match proto {
        6 => Some(16),
        17 => Some(6),
        _ => None,
    };
    let len = body.len() as u16;
    let (src, dst) = (Addr::v4(remote_ip.into()), Addr::v4(OUR_IP.into()));
    let mut csum = RxChecksum::Unknown;
    if let Some(field) = field.filter(|field| field + 2 <= body.len()) {
        let mut sum = Sum::pseudo_header(src, dst, proto, len);
        // The device says: verified, or still to be completed.
        let bytes = match shape.csum % 4 {
            1 => {
                csum = RxChecksum::Verified;
                0
            }
            2 => {
                csum = RxChecksum::Partial {
                    csum_start: 34,
                    csum_offset: field as u16,
                };
                sum.folded()
            }
            _ => {
                sum.add(&body);
                sum.finish() ^ u16::from(shape.lie % 8 == 2)
            }
        };
        body[field..field + 2].copy_from_slice(&bytes.to_be_bytes());
    }
    let mut bytes = OUR_MAC.to_vec();
    bytes.extend(far_mac(remote_ip));
    bytes.extend([0x08, 0x00]);
    let total_len = 20 + len;
    let said_len = total_len.wrapping_sub(u16::from(shape.lie % 8 == 3) * u16::from(shape.lie));
    let mut header = vec![0x45, shape.tos];
    header.extend(said_len.to_be_bytes());
    header.extend([
        0,
        1,
        if shape.lie % 8 == 4 { shape.lie } else { 0x40 },
        0,
        64,
        proto,
        0,
        0,
    ]);
    header.extend(remote_ip);
    header.extend(OUR_IP);
    let sum = Sum::of(&header).finish() ^ u16::from(shape.lie % 8 == 5);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    bytes.extend(header);
    bytes.extend(body);
    // Ethernet's least frame is padded.
    if shape.lie % 8 != 6 && bytes.len() < 60 {
        bytes.resize(60, 0);
    }
    (csum, bytes)
}

/// A frame of any bytes, behind as many headers that are right as the program likes.
pub(super) fn raw<A: Way>(world: &mut World<A>, bytes: &mut Cursor<'_>) {
    let (depth, len) = (bytes.u8(), bytes.u8());
    let rest = bytes.take(len.into()).to_vec();
    match depth % 4 {
        0 => {
            let mut far = world.far.borrow_mut();
            far.flows.iter_mut().for_each(|flow| flow.is_dirty = true);
            drop(far);
            world.arrives(&rest);
        }
        1 => {
            let mut frame = OUR_MAC.to_vec();
            frame.extend(far_mac(FAR_IPS[0]));
            frame.extend([0x08, if depth & 4 == 0 { 0 } else { 6 }]);
            frame.extend(&rest);
            let mut far = world.far.borrow_mut();
            far.flows.iter_mut().for_each(|flow| flow.is_dirty = true);
            drop(far);
            world.arrives(&frame);
        }
        _ => {
            // Whatever is not TCP: that has its own operations.
            let proto = [1, 17, 2, 89][usize::from(depth >> 2) % 4];
            let (csum, frame) = datagram_of(FAR_IPS[0], proto, rest, &Shape::new(0, 0, 0));
            world.arrives_as(&frame, csum, usize::MAX);
        }
    }
}

/// An ICMP message that quotes a segment of the stack's, or one like it.
pub(super) fn icmp<A: Way>(world: &mut World<A>, bytes: &mut Cursor<'_>) {
    let n = bytes.below(FLOWS_PASSIVE + FLOWS_ACTIVE);
    let kinds = [
        (3, 4),
        (3, 1),
        (3, 3),
        (3, 2),
        (11, 0),
        (12, 0),
        (8, 0),
        (3, 13),
        (5, 0),
        (0, 0),
    ];
    let (kind, code) = bytes.pick(&kinds);
    let (mtu, off, router) = (bytes.u16(), bytes.near(), bytes.pick(&FAR_IPS));
    let mut message = vec![kind, code, 0, 0, 0, 0];
    message.extend(mtu.to_be_bytes());
    {
        let far = world.far.borrow();
        let flow = &far.flows[n];
        let mut quoted = vec![0x45, 0, 5, 0xdc, 0, 1, 0x40, 0, 60, 6, 0, 0];
        quoted.extend(OUR_IP);
        quoted.extend(flow.remote_ip);
        quoted.extend(flow.local_port.to_be_bytes());
        quoted.extend(flow.remote_port.to_be_bytes());
        let seq = bytes.pick(&places(flow)).wrapping_add(off);
        quoted.extend(seq.to_be_bytes());
        quoted.extend(flow.una.to_be_bytes());
        quoted.extend([0x50, ACK, 0xff, 0xff, 0, 0, 0, 0]);
        quoted.truncate(usize::from(bytes.u8()).max(8));
        message.extend(quoted);
    }
    let sum = Sum::of(&message).finish();
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let (csum, frame) = datagram_of(router, 1, message, &Shape::new(0, 0, 0));
    world.arrives_as(&frame, csum, usize::MAX);
}

/// ARP of all kinds, and far sides that do not answer it.
pub(super) fn neighbor<A: Way>(world: &mut World<A>, bytes: &mut Cursor<'_>) {
    let (kind, ip) = (bytes.u8(), bytes.pick(&FAR_IPS));
    let mut mac = far_mac(ip);
    match kind % 8 {
        0 => world.arrives(&arp(1, (mac, ip), ([0; 6], OUR_IP))),
        1 => world.arrives(&arp(2, (mac, ip), (OUR_MAC, OUR_IP))),
        2 => {
            // It has moved.
            mac[3] = bytes.u8();
            world.arrives(&arp(2, (mac, ip), (OUR_MAC, OUR_IP)));
        }
        3 => world.arrives(&arp(bytes.u8(), (mac, OUR_IP), ([0; 6], OUR_IP))),
        4 => world.is_arp_answered = false,
        5 => world.is_arp_answered = true,
        _ => {
            // Many neighbors.
            let ip = [10, 0, 2, bytes.u8()];
            world.arrives(&arp(1, (far_mac(ip), ip), ([0; 6], OUR_IP)));
        }
    }
}

/// UDP: to a port of the application, to none, and a DHCP server's answers.
pub(super) fn datagram<A: Way>(world: &mut World<A>, bytes: &mut Cursor<'_>) {
    let kind = bytes.u8();
    let (src, dst) = match kind % 4 {
        0 => (4_000, 7_000),
        1 => (4_000, bytes.u16()),
        _ => (67u16, 68),
    };
    let payload = match dst {
        68 => dhcp(world, bytes),
        _ => {
            let len = bytes.u8();
            bytes.take(len.into()).to_vec()
        }
    };
    let mut body = src.to_be_bytes().to_vec();
    body.extend(dst.to_be_bytes());
    body.extend((8 + payload.len() as u16).to_be_bytes());
    body.extend([0, 0]);
    body.extend(payload);
    let (csum, frame) = datagram_of(FAR_IPS[0], 17, body, &Shape::new(0, 0, 0));
    world.arrives_as(&frame, csum, usize::MAX);
}

fn dhcp<A: Way>(world: &World<A>, bytes: &mut Cursor<'_>) -> Vec<u8> {
    let mut message = vec![2, 1, 6, 0];
    let xid = world.far.borrow().dhcp_xid;
    message.extend(xid.to_be_bytes());
    message.extend([0; 8]);
    message.extend(if bytes.u8().is_multiple_of(8) {
        [10, 0, 2, bytes.u8()]
    } else {
        OUR_IP
    });
    message.extend([0; 8]);
    message.extend(OUR_MAC);
    message.extend([0; 10 + 64 + 128]);
    message.extend([0x63, 0x82, 0x53, 0x63]);
    message.extend([53, 1, bytes.pick(&[2, 5, 5, 6])]);
    message.extend([
        54, 4, 10, 0, 2, 2, 1, 4, 255, 255, 255, 0, 3, 4, 10, 0, 2, 2,
    ]);
    message.extend([51, 4, 0, 0]);
    message.extend(bytes.u16().to_be_bytes());
    let len = bytes.below(40);
    message.extend(bytes.take(len));
    message.push(255);
    message
}
