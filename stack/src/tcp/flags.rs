//! What a connection knows that is a yes or a no: bits, so that all of it is looked at with one
//! comparison, and takes two bytes.

/// A set of bits under names.
macro_rules! flags {
    ($(#[$doc:meta])* $name:ident { $($(#[$bit_doc:meta])* $bit:ident = $at:expr,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub(crate) struct $name(u8);

        impl $name {
            $($(#[$bit_doc])* pub(crate) const $bit: Self = Self(1 << $at);)*

            /// Whether any bit of `other` is set.
            #[inline]
            pub(crate) fn has(self, other: Self) -> bool {
                self.0 & other.0 != 0
            }

            /// Both together.
            #[inline]
            pub(crate) const fn with(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }

            #[inline]
            pub(crate) fn set(&mut self, other: Self) {
                self.0 |= other.0;
            }

            #[inline]
            pub(crate) fn clear(&mut self, other: Self) {
                self.0 &= !other.0;
            }

            /// Sets or clears.
            #[inline]
            pub(crate) fn put(&mut self, other: Self, is_set: bool) {
                if is_set {
                    self.set(other);
                } else {
                    self.clear(other);
                }
            }
        }
    };
}

flags! {
    /// Of the connection as a whole.
    TcbFlags {
        /// An acknowledgment is to go out now.
        ACK_DUE = 0,
        /// Selective acknowledgments may be sent both ways (RFC 2018 2).
        SACK_PERMITTED = 1,
        /// The application has given the connection up.
        ABORT_DUE = 2,
        /// The application was refused a send, and is to be told when it may.
        WANTS_TO_SEND = 3,
        /// The application has been told that no more bytes will come.
        FINISH_TOLD = 4,
        /// All is acknowledged, but whether the last probe was needed is not known yet.
        PROBE_OPEN = 5,
        /// A keep-alive is to go out now.
        KEEP_ALIVE_DUE = 6,
        /// All is acknowledged, and no round trip was measured since the last probe.
        PROBE_UNMEASURED = 7,
    }
}

flags! {
    /// Of the send side.
    SndFlags {
        /// A FIN follows the queue.
        HAS_FIN = 0,
        /// Nagle's algorithm is off.
        NODELAY = 1,
        /// The segment at SND.UNA is to be sent again at once.
        REXMT_DUE = 2,
        /// Send something even where the window forbids: a probe (RFC 9293 3.8.6.1).
        PROBE_DUE = 3,
        /// Segments have become smaller, and may become as large again (`narrowed.rs`).
        NARROWED = 4,
        /// Something was lost of the window that the connection began with, or began again with
        /// after idle time.
        LOST_EARLY = 5,
    }
}
