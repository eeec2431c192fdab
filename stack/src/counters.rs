//! What the stack counts: each dropped packet once, with its reason, and what moved.

macro_rules! drop_reasons {
    ($($(#[$doc:meta])+ $name:ident = $text:literal,)+) => {
        /// Why a packet was dropped. Each has a test that sees its counter move.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum DropReason {
            $($(#[$doc])+ $name,)+
        }

        impl DropReason {
            /// Every reason, in the order of a packet's way.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// A short name in lower case, for logs and metrics.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

drop_reasons! {
    /// Shorter than an Ethernet header.
    EthTruncated = "eth_truncated",
    /// Addressed to another station.
    EthNotForUs = "eth_not_for_us",
    /// An EtherType that nobody here speaks.
    EthUnknownType = "eth_unknown_type",
    /// Not Ethernet and IPv4, or shorter than it says (RFC 826).
    ArpMalformed = "arp_malformed",
    /// About addresses that are not ours.
    ArpNotForUs = "arp_not_for_us",
    /// Someone else claims our address (RFC 5227 2.4).
    ArpConflict = "arp_conflict",
    /// A header that contradicts itself or the frame (RFC 791).
    IpMalformed = "ip_malformed",
    /// A wrong header checksum.
    IpChecksum = "ip_checksum",
    /// A fragment: reassembly is not done.
    IpFragment = "ip_fragment",
    /// A source that no host may have (RFC 1122 3.2.1.3).
    IpBadSource = "ip_bad_source",
    /// Not to one of our addresses.
    IpNotForUs = "ip_not_for_us",
    /// A protocol that nobody here speaks.
    IpUnknownProtocol = "ip_unknown_protocol",
    /// A message that is too short or of the wrong form (RFC 792).
    IcmpMalformed = "icmp_malformed",
    /// A wrong checksum.
    IcmpChecksum = "icmp_checksum",
    /// A type or code that has no meaning here.
    IcmpUnknownType = "icmp_unknown_type",
    /// To a broadcast address (RFC 1122 3.2.2.6 allows silence).
    IcmpBroadcast = "icmp_broadcast",
    /// Larger than one frame, or an echo whose reply would be longer than the link takes.
    IcmpTooLarge = "icmp_too_large",
    /// An error about a segment that is not in flight (RFC 5927 4.1).
    IcmpStale = "icmp_stale",
    /// A header that contradicts the datagram (RFC 768).
    UdpMalformed = "udp_malformed",
    /// A wrong checksum.
    UdpChecksum = "udp_checksum",
    /// Nobody listens on the port.
    UdpPortClosed = "udp_port_closed",
    /// Larger than one frame.
    UdpTooLarge = "udp_too_large",
    /// A DHCP message that is malformed or not for us (RFC 2131).
    DhcpIgnored = "dhcp_ignored",
    /// A header that contradicts the datagram (RFC 9293 3.1).
    TcpMalformed = "tcp_malformed",
    /// A wrong checksum.
    TcpChecksum = "tcp_checksum",
    /// To or from a broadcast or multicast address (RFC 9293 3.9.2.3, MUST-57).
    TcpNotUnicast = "tcp_not_unicast",
    /// Neither a connection nor a listener: answered with RST unless it is one.
    TcpNoConnection = "tcp_no_connection",
    /// No timestamps, though both sides have agreed on them (RFC 7323 3.2).
    TcpNoTimestamps = "tcp_no_timestamps",
    /// Older timestamps than were seen already (RFC 7323 5.3).
    TcpOldTimestamps = "tcp_old_timestamps",
    /// Outside the window (RFC 9293 3.10.7.4, first).
    TcpOutOfWindow = "tcp_out_of_window",
    /// An RST whose sequence number is in the window but not the next (RFC 5961 3).
    TcpChallengedRst = "tcp_challenged_rst",
    /// A SYN on a synchronised connection (RFC 5961 4).
    TcpChallengedSyn = "tcp_challenged_syn",
    /// No ACK where one is required (RFC 9293 3.10.7.4, fifth).
    TcpNoAck = "tcp_no_ack",
    /// An ACK of something never sent, or far in the past (RFC 5961 5).
    TcpBadAck = "tcp_bad_ack",
    /// An acknowledgment of a cookie by a segment that has overtaken the first behind the SYN,
    /// which alone can complete the handshake.
    TcpAheadOfCookie = "tcp_ahead_of_cookie",
    /// The listener's queue of half-open connections is full.
    TcpSynQueueFull = "tcp_syn_queue_full",
    /// The listener's accept queue is full.
    TcpAcceptQueueFull = "tcp_accept_queue_full",
    /// The connection table is full.
    TcpTableFull = "tcp_table_full",
    /// Of no connection here, and no room on the way to the other stacks of the address.
    TcpHandOverFull = "tcp_hand_over_full",
    /// Data that no frame may be kept for.
    TcpNoMemory = "tcp_no_memory",
    /// Data or a FIN behind a gap, when too many connections have one.
    TcpGapsFull = "tcp_gaps_full",
    /// No frame in the pool to send with.
    TxNoFrame = "tx_no_frame",
    /// The transmit ring was full for a packet that nobody keeps.
    TxRingFull = "tx_ring_full",
    /// No address of ours, or no route.
    TxNoRoute = "tx_no_route",
    /// No room in the head frame for the headers, or longer than a datagram may be.
    TxNoRoom = "tx_no_room",
    /// The next hop did not answer ARP in time, or another packet took the one place to wait.
    TxUnresolved = "tx_unresolved",
}

/// All counters of one stack. They only grow.
#[derive(Clone, Debug)]
pub struct Counters {
    drops: [u64; DropReason::ALL.len()],
    /// Why the last packet was dropped, until somebody asks.
    last_drop: Option<DropReason>,
    /// Frames received.
    pub rx_frames: u64,
    /// Bytes received, from the Ethernet header on.
    pub rx_bytes: u64,
    /// Packets put on the transmit ring.
    pub tx_packets: u64,
    /// Bytes of those, from the Ethernet header on.
    pub tx_bytes: u64,
    /// Content bytes that went out by reference.
    pub payload_bytes_referenced: u64,
    /// Content bytes that were copied into a frame: 0 on a port that gathers.
    pub payload_bytes_copied: u64,
    /// Content bytes that the processor summed: 0 on a port that does checksums.
    pub payload_bytes_summed: u64,
    /// Content bytes whose sum a table knew: 0 on a port that does checksums.
    pub payload_bytes_presummed: u64,
    /// Times that the device's checksums were given up, because nobody took our SYN-ACKs.
    pub checksum_fallbacks: u64,
    /// Times that segmentation by the device was given up, at all or beyond a length, because what
    /// it cut did not arrive.
    pub segmentation_fallbacks: u64,
    /// Neighbors that had to go for a newer one before their time.
    pub neighbors_evicted: u64,
    /// ICMP errors sent.
    pub icmp_errors_out: u64,
    /// ICMP errors that the rate limit held back.
    pub icmp_errors_suppressed: u64,
    /// ICMP errors about segments in flight that changed nothing: soft errors, and sizes that got
    /// through before.
    pub icmp_errors_ignored: u64,
    /// Connections that have learned of a narrow path (RFC 1191).
    pub path_mtu_updates: u64,
    /// Connections that make their segments smaller because full ones are lost without a word.
    pub tcp_black_holes: u64,
    /// TCP segments received, of any kind.
    pub tcp_segments_in: u64,
    /// TCP segments received that were what comes next where nothing is the matter, and took the
    /// short cut.
    pub tcp_short_cuts: u64,
    /// TCP segments sent, of any kind: those of a super-segment one by one.
    pub tcp_segments_out: u64,
    /// Super-segments sent, for the device to cut.
    pub tcp_super_segments: u64,
    /// TCP segments sent again.
    pub tcp_retransmits: u64,
    /// Retransmission timeouts.
    pub tcp_timeouts: u64,
    /// Recoveries that acknowledgments have begun (RFC 5681 3.2).
    pub tcp_recoveries: u64,
    /// Recoveries and timeouts that turned out to be for nothing.
    pub tcp_spurious: u64,
    /// Tail loss probes sent (RFC 8985 7).
    pub tcp_probes: u64,
    /// Times that a connection sent with no entry free for what is in flight: it recovers from
    /// losses more slowly.
    pub tcp_flights_full: u64,
    /// Times that ranges in flight could not be told apart for want of a node.
    pub tcp_sent_merged: u64,
    /// RSTs sent.
    pub tcp_resets_out: u64,
    /// Generated bytes that were refused for want of a frame: the application is told when there
    /// is one.
    pub tcp_sends_refused: u64,
    /// Frames of out-of-order data that were given up for want of frames, to come again.
    pub tcp_frames_shed: u64,
    /// Segments whose urgent pointer was read past (RFC 9293 3.8.5).
    pub tcp_urgent_in: u64,
    /// Segments of no connection here that went on to another stack with our address. They are
    /// counted as received by the one that keeps them.
    pub tcp_passed_on: u64,
    /// Connections, half-open ones and those in TIME-WAIT that were forgotten here, because the far
    /// side has opened one of the same endpoints with another stack.
    pub tcp_opened_elsewhere: u64,
    /// Connections that were accepted.
    pub tcp_accepted: u64,
    /// Challenge ACKs sent (RFC 5961).
    pub tcp_challenge_acks: u64,
    /// SYNs that were answered with a cookie (RFC 4987 3.6).
    pub tcp_cookies_sent: u64,
    /// Connections that a cookie has brought back.
    pub tcp_cookies_accepted: u64,
    /// Fast Open cookies given (RFC 7413).
    pub tcp_fast_open_cookies: u64,
    /// SYNs that brought a Fast Open cookie which is not ours, or too old: opened in the ordinary
    /// way.
    pub tcp_fast_open_bad_cookies: u64,
    /// Connections that were opened fast.
    pub tcp_fast_opens: u64,
    /// SYNs with a good cookie that were opened in the ordinary way, because too many others were
    /// being opened fast, or there was no place.
    pub tcp_fast_opens_full: u64,
    /// Challenge ACKs that the throttle held back (RFC 5961 7).
    pub tcp_challenge_acks_suppressed: u64,
    /// Segments whose text came with a congestion mark (RFC 3168).
    pub tcp_ecn_ce_in: u64,
    /// Congestion windows that were reduced because the far side has echoed a mark.
    pub tcp_ecn_reductions: u64,
    /// Keep-alive probes sent (RFC 9293 3.8.4).
    pub tcp_keep_alives: u64,
    /// TIME-WAIT entries that had to go early for a newer one.
    pub tcp_time_wait_evicted: u64,
}

impl Counters {
    /// All zero.
    pub const fn new() -> Self {
        Self {
            drops: [0; DropReason::ALL.len()],
            last_drop: None,
            rx_frames: 0,
            rx_bytes: 0,
            tx_packets: 0,
            tx_bytes: 0,
            payload_bytes_referenced: 0,
            payload_bytes_copied: 0,
            payload_bytes_summed: 0,
            payload_bytes_presummed: 0,
            checksum_fallbacks: 0,
            segmentation_fallbacks: 0,
            neighbors_evicted: 0,
            icmp_errors_out: 0,
            icmp_errors_suppressed: 0,
            icmp_errors_ignored: 0,
            path_mtu_updates: 0,
            tcp_black_holes: 0,
            tcp_segments_in: 0,
            tcp_short_cuts: 0,
            tcp_segments_out: 0,
            tcp_super_segments: 0,
            tcp_retransmits: 0,
            tcp_timeouts: 0,
            tcp_recoveries: 0,
            tcp_spurious: 0,
            tcp_probes: 0,
            tcp_flights_full: 0,
            tcp_sent_merged: 0,
            tcp_resets_out: 0,
            tcp_sends_refused: 0,
            tcp_frames_shed: 0,
            tcp_urgent_in: 0,
            tcp_passed_on: 0,
            tcp_opened_elsewhere: 0,
            tcp_accepted: 0,
            tcp_challenge_acks: 0,
            tcp_challenge_acks_suppressed: 0,
            tcp_keep_alives: 0,
            tcp_cookies_sent: 0,
            tcp_cookies_accepted: 0,
            tcp_fast_open_cookies: 0,
            tcp_fast_open_bad_cookies: 0,
            tcp_fast_opens: 0,
            tcp_fast_opens_full: 0,
            tcp_ecn_ce_in: 0,
            tcp_ecn_reductions: 0,
            tcp_time_wait_evicted: 0,
        }
    }

    /// Counts a frame of so many bytes with a segment that takes the short cut.
    #[inline]
    pub(crate) fn short_cut_taken(&mut self, frame_len: usize) {
        self.rx_frames += 1;
        self.rx_bytes += frame_len as u64;
        self.tcp_segments_in += 1;
        self.tcp_short_cuts += 1;
    }

    /// Counts a dropped packet.
    #[inline]
    pub(crate) fn drop(&mut self, reason: DropReason) {
        if let Some(count) = self.drops.get_mut(reason as usize) {
            *count += 1;
        }
        self.last_drop = Some(reason);
    }

    /// Why a packet was dropped since the last call, if one was: the last of them.
    #[inline]
    pub(crate) fn take_last_drop(&mut self) -> Option<DropReason> {
        let last = self.last_drop?;
        self.last_drop = None;
        Some(last)
    }

    /// Packets dropped for this reason.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.drops.get(reason as usize).copied().unwrap_or(0)
    }

    /// Packets dropped for any reason.
    pub fn dropped_total(&self) -> u64 {
        self.drops.iter().sum()
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self::new()
    }
}
