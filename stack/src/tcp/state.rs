//! The states of a connection (RFC 9293 3.3.2) and the one table that says how they follow.

use core::fmt;

/// A connection's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// No connection.
    Closed,
    /// Waiting for a SYN.
    Listen,
    /// SYN sent.
    SynSent,
    /// SYN received and sent.
    SynReceived,
    /// Data flows both ways.
    Established,
    /// We have closed.
    FinWait1,
    /// We have closed, and our FIN is acknowledged.
    FinWait2,
    /// They have closed.
    CloseWait,
    /// Both have closed at once; our FIN is not acknowledged.
    Closing,
    /// They closed, then we; our FIN is not acknowledged.
    LastAck,
    /// All is done; waiting for old segments to die.
    TimeWait,
}

impl State {
    /// All states, in the order of RFC 9293.
    pub const ALL: [Self; 11] = [
        Self::Closed,
        Self::Listen,
        Self::SynSent,
        Self::SynReceived,
        Self::Established,
        Self::FinWait1,
        Self::FinWait2,
        Self::CloseWait,
        Self::Closing,
        Self::LastAck,
        Self::TimeWait,
    ];

    /// Both SYNs are acknowledged.
    #[inline]
    pub fn is_synchronized(self) -> bool {
        self >= Self::Established
    }

    /// We may still queue data to send.
    #[inline]
    pub fn can_send(self) -> bool {
        matches!(
            self,
            Self::SynSent | Self::SynReceived | Self::Established | Self::CloseWait
        )
    }

    /// They may still send us data.
    #[inline]
    pub fn can_receive(self) -> bool {
        matches!(self, Self::Established | Self::FinWait1 | Self::FinWait2)
    }

    /// The state after `event`, or `None` where the event cannot happen.
    pub fn after(self, event: Event) -> Option<Self> {
        use Event as E;
        let next = match (self, event) {
            (Self::Closed, E::PassiveOpen) => Self::Listen,
            (Self::Closed, E::ActiveOpen) => Self::SynSent,
            (Self::Listen, E::SynArrives) => Self::SynReceived,
            (Self::Listen, E::Close) => Self::Closed,
            (Self::SynSent, E::SynArrives) => Self::SynReceived,
            (Self::SynSent, E::SynAckArrives) => Self::Established,
            (Self::SynSent, E::Close) => Self::Closed,
            (Self::SynReceived, E::AckOfSyn) => Self::Established,
            (Self::SynReceived, E::Close) => Self::FinWait1,
            (Self::SynReceived, E::FinArrives) => Self::CloseWait,
            (Self::Established, E::Close) => Self::FinWait1,
            (Self::Established, E::FinArrives) => Self::CloseWait,
            (Self::FinWait1, E::AckOfFin) => Self::FinWait2,
            (Self::FinWait1, E::FinArrives) => Self::Closing,
            (Self::FinWait2, E::FinArrives) => Self::TimeWait,
            (Self::CloseWait, E::Close) => Self::LastAck,
            (Self::Closing, E::AckOfFin) => Self::TimeWait,
            (Self::LastAck, E::AckOfFin) => Self::Closed,
            (Self::TimeWait, E::Timeout) => Self::Closed,
            (Self::Closed | Self::TimeWait, _) => return None,
            (_, E::Reset | E::Timeout) => Self::Closed,
            _ => return None,
        };
        Some(next)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "CLOSED",
            Self::Listen => "LISTEN",
            Self::SynSent => "SYN-SENT",
            Self::SynReceived => "SYN-RECEIVED",
            Self::Established => "ESTABLISHED",
            Self::FinWait1 => "FIN-WAIT-1",
            Self::FinWait2 => "FIN-WAIT-2",
            Self::CloseWait => "CLOSE-WAIT",
            Self::Closing => "CLOSING",
            Self::LastAck => "LAST-ACK",
            Self::TimeWait => "TIME-WAIT",
        })
    }
}

/// What can change a connection's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// OPEN call, passive.
    PassiveOpen,
    /// OPEN call, active.
    ActiveOpen,
    /// A SYN without an acknowledgment of ours.
    SynArrives,
    /// A SYN that acknowledges ours.
    SynAckArrives,
    /// Our SYN is acknowledged.
    AckOfSyn,
    /// Their FIN is next in the stream.
    FinArrives,
    /// Our FIN is acknowledged.
    AckOfFin,
    /// CLOSE call.
    Close,
    /// RST from them, or ABORT call.
    Reset,
    /// Retransmissions have run out, or TIME-WAIT has.
    Timeout,
}

impl Event {
    /// All events.
    pub const ALL: [Self; 10] = [
        Self::PassiveOpen,
        Self::ActiveOpen,
        Self::SynArrives,
        Self::SynAckArrives,
        Self::AckOfSyn,
        Self::FinArrives,
        Self::AckOfFin,
        Self::Close,
        Self::Reset,
        Self::Timeout,
    ];
}

#[cfg(test)]
mod tests;
