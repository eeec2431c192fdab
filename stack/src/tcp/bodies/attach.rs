//! Taking a part of what is queued into a packet: by reference as far as the port gathers.

use simoom_ring::{Fragment, TxPacket};

use super::{Bodies, BodyNode, SendQueue};
use crate::config::GENERATED_COPY_MAX;
use crate::content::Sums;
use crate::counters::Counters;
use crate::tcp::load::Load;

impl<'p> Bodies<'p> {
    /// Puts the bytes `[offset, offset + len)` of the queue behind the headers in a packet's head:
    /// generated ones copied while they are few, content by reference as far as the port gathers,
    /// else copied. Returns how many bytes the packet took: fewer than `len` when fragments or the
    /// frame run out, which only makes a shorter segment.
    pub(crate) fn attach(
        &self,
        queue: &SendQueue,
        slice: Slice,
        packet: &mut TxPacket<'p>,
        load: &mut Load,
        counters: &mut Counters,
    ) -> usize {
        let mut place = self.place(queue, slice.offset);
        self.attach_at(&mut place, slice.len, packet, load, counters)
    }

    /// The place of the byte at `offset`.
    #[inline]
    pub(crate) fn place(&self, queue: &SendQueue, offset: usize) -> Place {
        let first = Place {
            node: queue.first,
            skip: 0,
        };
        self.behind(first, offset)
    }

    /// As [`attach`](Self::attach), for what lies at `place`, which moves behind it.
    #[inline]
    pub(crate) fn attach_at(
        &self,
        place: &mut Place,
        len: usize,
        packet: &mut TxPacket<'p>,
        load: &mut Load,
        counters: &mut Counters,
    ) -> usize {
        // Nearly always: all of a segment lies in one piece of content.
        if let Some(BodyNode {
            piece: Some(Fragment::Content(bytes)),
            sums,
            ..
        }) = self.nodes.get(place.node as usize)
            && let Some(rest) = bytes.get(place.skip..)
            && let (Some(body), true) = (rest.get(..len), load.fragments_max > 1)
            && packet.append(Fragment::Content(body)).is_ok()
        {
            counters.payload_bytes_referenced += len as u64;
            load.add(body, true, *sums, counters);
            place.skip += len;
            return len;
        }
        self.attach_pieces(place, len, packet, load, counters)
    }

    /// The content from `place` on; `None` where that is none, or ends.
    #[inline(always)]
    pub(crate) fn content_at(&self, place: &Place) -> Option<Content> {
        match self.nodes.get(place.node as usize)? {
            BodyNode {
                piece: Some(Fragment::Content(bytes)),
                sums,
                ..
            } => Some((bytes.get(place.skip..)?, *sums)),
            _ => None,
        }
    }

    fn attach_pieces(
        &self,
        place: &mut Place,
        len: usize,
        packet: &mut TxPacket<'p>,
        load: &mut Load,
        counters: &mut Counters,
    ) -> usize {
        let (mut taken, mut is_copying) = (0, true);
        let fragments_max = load.fragments_max;
        // Each round takes something, or goes on to the next of a finite list.
        while taken < len
            && let Some(BodyNode {
                piece: Some(piece),
                sums,
                next,
                ..
            }) = self.nodes.get(place.node as usize)
        {
            let rest = piece.bytes().get(place.skip..).unwrap_or_default();
            if rest.is_empty() {
                *place = Place {
                    node: *next,
                    skip: 0,
                };
                continue;
            }
            let bytes = rest.get(..len - taken).unwrap_or(rest);
            let is_content = matches!(piece, Fragment::Content(_));
            let is_small = !is_content && bytes.len() <= GENERATED_COPY_MAX;
            is_copying &= fragments_max <= 1 || is_small;
            if is_copying {
                // Generated headers are few bytes: cheaper to copy than a fragment of their own. A
                // port that does not gather leaves no other way: the ladder's last rung.
                let head = packet.head_mut();
                let fitting = bytes.get(..head.tailroom()).unwrap_or(bytes);
                let _fits = head.append(fitting);
                load.add(fitting, is_content, *sums, counters);
                if is_content {
                    counters.payload_bytes_copied += fitting.len() as u64;
                }
                taken += fitting.len();
                place.skip += fitting.len();
                if fitting.len() < bytes.len() {
                    break;
                }
                continue;
            }
            if packet.pieces() >= fragments_max {
                break;
            }
            let Some(part) = part_of(piece, place.skip, bytes.len()) else {
                break;
            };
            if packet.append(part).is_err() {
                break;
            }
            load.add(bytes, is_content, *sums, counters);
            if is_content {
                counters.payload_bytes_referenced += bytes.len() as u64;
            }
            taken += bytes.len();
            place.skip += bytes.len();
        }
        taken
    }

    /// The place `len` bytes further on.
    #[inline]
    fn behind(&self, place: Place, len: usize) -> Place {
        let (mut node, mut skip) = (place.node, place.skip + len);
        while let Some(BodyNode {
            piece: Some(piece),
            next,
            ..
        }) = self.nodes.get(node as usize)
        {
            let len = piece.bytes().len();
            if skip < len {
                break;
            }
            skip -= len;
            node = *next;
        }
        Place { node, skip }
    }
}

/// A byte of a send queue: a node, and what lies before the byte in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    node: u32,
    skip: usize,
}

impl Place {
    /// Moves on by so many bytes of the content that lies here.
    #[inline(always)]
    pub(crate) fn skip(&mut self, len: u32) {
        self.skip += len as usize;
    }
}

/// Content, and where its sums are.
pub(crate) type Content = (&'static [u8], Option<&'static Sums>);

/// Bytes of a send queue, counted from SND.UNA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slice {
    pub(crate) offset: usize,
    pub(crate) len: usize,
}

impl Slice {
    /// Its first `most` bytes.
    #[inline]
    pub(crate) fn up_to(self, most: usize) -> Self {
        Self {
            len: self.len.min(most),
            ..self
        }
    }
}

/// At most `len` bytes of a piece from `offset` on; `None` past the most holders of a frame.
#[inline]
pub(super) fn part_of<'p>(piece: &Fragment<'p>, offset: usize, len: usize) -> Option<Fragment<'p>> {
    match piece {
        Fragment::Content(bytes) => {
            let rest = bytes.get(offset..)?;
            Some(Fragment::Content(rest.get(..len).unwrap_or(rest)))
        }
        Fragment::Frame(frame) => frame.slice(offset, len).map(Fragment::Frame),
    }
}
