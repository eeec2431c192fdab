//! A request head that straddles frames, put together in memory of the caller.

use super::exchange::{Answer, Exchange, Step};
use super::range::Parts;
use super::server::Server;

/// How much of a head lies in the scratch memory. Kept beside an [`Exchange`] while there is any.
///
/// Copying is for this case only: a head that is whole in its frame is read there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gather {
    len: u16,
}

impl Gather {
    /// Bytes that are gathered.
    #[must_use]
    pub(crate) fn len(self) -> usize {
        self.len.into()
    }

    /// Whether nothing is gathered: the scratch memory is not in use and may go back.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Server {
    /// As [`respond`](Server::respond), for a connection with scratch memory: always takes all of
    /// `bytes` when it wants more, so the frame can go.
    ///
    /// `scratch` must be the same memory, unchanged, until `gather` is empty again. Its length
    /// bounds a head that straddles frames, as 64 KiB do: full and still not complete is 431.
    /// `consumed` of the step counts bytes of `bytes` only.
    pub fn respond_gathered(
        &self,
        exchange: &mut Exchange,
        gather: &mut Gather,
        scratch: &mut [u8],
        bytes: &[u8],
        head: &mut [u8],
        parts: Option<&mut Parts>,
    ) -> Step {
        let scratch_len = scratch.len().min(usize::from(u16::MAX));
        let scratch = scratch.get_mut(..scratch_len).unwrap_or(&mut []);
        if gather.is_empty() {
            return match self.respond(exchange, bytes, head, parts) {
                Step::NeedMore => match scratch.get_mut(..bytes.len()) {
                    Some(room) => {
                        room.copy_from_slice(bytes);
                        gather.len = gathered_len(bytes.len());
                        Step::Taken {
                            consumed: bytes.len(),
                        }
                    }
                    None => self.too_long(exchange, bytes, head),
                },
                step => step,
            };
        }
        // The lengths are ours; a scratch that became shorter counts as full.
        let before = usize::from(gather.len);
        let fresh_len = bytes.len().min(scratch.len().saturating_sub(before));
        let fresh = bytes.get(..fresh_len).unwrap_or(&[]);
        let Some(room) = scratch.get_mut(before..before + fresh_len) else {
            gather.len = 0;
            return self.too_long(exchange, bytes, head);
        };
        room.copy_from_slice(fresh);
        let gathered = scratch.get(..before + fresh_len).unwrap_or(&[]);
        match self.respond(exchange, gathered, head, parts) {
            Step::NeedMore if fresh_len < bytes.len() => {
                gather.len = 0;
                self.too_long(exchange, bytes, head)
            }
            Step::NeedMore => {
                gather.len = gathered_len(before + fresh_len);
                Step::Taken {
                    consumed: fresh_len,
                }
            }
            Step::Taken { consumed } => {
                gather.len = 0;
                Step::Taken {
                    consumed: consumed.saturating_sub(before),
                }
            }
            Step::Answer(answer) => {
                gather.len = 0;
                let consumed = answer.consumed.saturating_sub(before);
                Step::Answer(Answer { consumed, ..answer })
            }
        }
    }

    #[cold]
    fn too_long(&self, exchange: &mut Exchange, bytes: &[u8], head: &mut [u8]) -> Step {
        let status = crate::message::Status::HeaderFieldsTooLarge;
        let answer = self.refuse(exchange, status, head);
        Step::Answer(Answer {
            consumed: bytes.len(),
            ..answer
        })
    }
}

/// Of what lies in a scratch, which is shorter than 64 KiB.
fn gathered_len(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}
