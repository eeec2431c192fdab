//! The parsers by themselves: no bytes make them panic, and what we emit is read back as it was.

use simoom::tcp::seqnum::{SeqNum, WireWnd};
use simoom::wire::checksum::Sum;
use simoom::wire::tcp::{Ctl, Options, Repr, Segment};
use simoom::wire::{arp, dhcpv4, ethernet, icmpv4, ipv4, udp};

use super::cursor::Cursor;

/// Gives the same bytes to every parser, and takes them as the fields of what we emit.
pub(crate) fn options(bytes: &[u8]) {
    read_back(Options::parse(bytes), bytes);
    if let Some(segment) = Segment::parse(bytes, bytes.len()) {
        assert!(segment.header_len <= bytes.len());
        assert!(segment.header_len >= 20 && segment.header_len.is_multiple_of(4));
        assert_eq!(
            segment.header_len + segment.payload_len as usize,
            bytes.len()
        );
        assert!(segment.len() - segment.payload_len <= 2);
    }
    if let Ok(header) = ipv4::Header::parse(bytes, bytes.len()) {
        assert!(usize::from(header.total_len) <= bytes.len());
        assert!(header.header_len >= 20 && header.header_len <= header.total_len);
    }
    let _message = icmpv4::Message::parse(bytes);
    let mut reply = bytes.to_vec();
    icmpv4::reply_in_place(&mut reply);
    if let Some(packet) = arp::Repr::parse(bytes) {
        assert_eq!(arp::Repr::parse(&packet.emit()), Some(packet));
    }
    if let Some(header) = ethernet::Repr::parse(bytes) {
        assert_eq!(header.emit(), bytes[..14]);
    }
    let payload_len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    let _header = udp::Header::parse(bytes, payload_len);
    if let Some(message) = dhcpv4::Message::parse(bytes) {
        assert!(message.dns.len() <= dhcpv4::DNS_MAX);
    }
    let mut offered = vec![2, 1, 6, 0];
    offered.resize(236, 0);
    offered.extend([0x63, 0x82, 0x53, 0x63]);
    offered.extend(bytes);
    let _message = dhcpv4::Message::parse(&offered);
}

/// A header with as many of these options as fit is read as it was written, and its checksum is
/// right.
fn read_back(mut options: Options, bytes: &[u8]) {
    options.fit();
    let mut fields = Cursor::new(bytes);
    let repr = Repr {
        src_port: fields.u16(),
        dst_port: fields.u16(),
        seq: SeqNum(fields.u32()),
        ack: (fields.u8() & 1 == 0).then_some(SeqNum(fields.u32())),
        ctl: Ctl::SYN,
        wnd: WireWnd(fields.u16()),
        options,
    };
    let mut header = vec![0; repr.header_len()];
    assert!(header.len() <= 60, "the longest header");
    repr.emit(&mut header);
    let segment = Segment::parse(&header, header.len()).expect("we wrote it");
    assert_eq!(
        (
            segment.src_port,
            segment.dst_port,
            segment.seq,
            segment.ack,
            segment.wnd
        ),
        (repr.src_port, repr.dst_port, repr.seq, repr.ack, repr.wnd)
    );
    assert_eq!((segment.header_len, segment.len()), (header.len(), 1));
    assert_eq!(Options::parse(&header[20..]), options);
    let csum = Sum::of(&header).finish();
    header[16..18].copy_from_slice(&csum.to_be_bytes());
    assert!(Sum::of(&header).is_valid());
}
