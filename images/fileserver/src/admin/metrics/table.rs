//! The figures of the server, the frames and the rings; those of the stack are beside.

use simoom::config::FRAMES_RESERVED;

use super::family::{Family, Kind, Label, Values, counter, each, family, gauge, ratio};
use super::stack;
use crate::app::{Bounds, Counters};
use crate::http::Status;

/// Every figure, in the order of the answer.
pub(super) static FAMILIES: &[&Family] = &{
    let mut all: [&Family; HTTP.len() + LOOK.len() + MEMORY.len() + stack::FAMILIES.len()] =
        [&HTTP[0]; HTTP.len() + LOOK.len() + MEMORY.len() + stack::FAMILIES.len()];
    let mut at = 0;
    let parts: [&'static [Family]; 4] = [&HTTP, &MEMORY, &stack::FAMILIES, &LOOK];
    let mut part = 0;
    while part < parts.len() {
        let mut idx = 0;
        while idx < parts[part].len() {
            all[at] = &parts[part][idx];
            at += 1;
            idx += 1;
        }
        part += 1;
    }
    all
};

static HTTP: [Family; 6] = [
    each(
        Kind::Counter,
        "simoom_http_answers_total",
        "Answers of the site, by status.",
        "code",
        |view, idx| {
            let status = *Status::ALL.get(idx)?;
            Some((
                Label::Code(status.code()),
                view.files.tally().answers(status),
            ))
        },
    ),
    counter(
        "simoom_http_body_bytes_total",
        "Bytes of bodies that were queued to be sent; of an answer in several parts, none.",
        |view| view.files.tally().body_bytes,
    ),
    family(
        Kind::Counter,
        "simoom_http_latency_seconds",
        "From the first byte of a request to the acknowledgment of the last byte of its answer. \
         Requests that were sent before the one in front of them was acknowledged count from the \
         first byte of that; those whose connection broke do not count. A client that delays its \
         acknowledgments, 40 ms as a rule, is measured with that; where our side closes after the \
         answer, until the connection ends. Of the answers within a millisecond one is \
         measured, and counts for all.",
        Values::Latency,
    ),
    each(
        Kind::Counter,
        "simoom_http_limits_total",
        "Times that a limit of the server had an effect, by limit.",
        "limit",
        |view, idx| {
            let (name, of) = *LIMITS.get(idx)?;
            Some((Label::Name(name), of(view.files.counters())))
        },
    ),
    counter(
        "simoom_http_connections_total",
        "Connections of the site that were accepted and kept.",
        |view| view.files.counters().accepted,
    ),
    each(
        Kind::Gauge,
        "simoom_http_bounds",
        "Bounds of the server: connections in all and from one address, seconds, bytes a second.",
        "bound",
        |view, idx| {
            let bounds = view.files.bounds();
            let Bounds {
                conns_max,
                conns_per_addr_max,
                first_byte,
                head,
                idle,
                rate_min,
            } = *bounds;
            let all = [
                ("connections", conns_max.into()),
                ("connections_per_address", conns_per_addr_max.into()),
                ("first_byte_seconds", first_byte.as_secs()),
                ("head_seconds", head.as_secs()),
                ("idle_seconds", idle.as_secs()),
                ("bytes_per_second", rate_min.into()),
            ];
            all.get(idx)
                .map(|(name, value)| (Label::Name(name), *value))
        },
    ),
];

type Count = fn(&Counters) -> u64;

/// What the limits of the server have done.
static LIMITS: [(&str, Count); 16] = [
    ("connections", |all| all.conns_refused),
    ("connections_per_address", |all| all.conns_per_addr_refused),
    ("malformed", |all| all.malformed),
    ("head_too_large", |all| all.heads_too_large),
    ("body_too_large", |all| all.bodies_too_large),
    ("body_malformed", |all| all.bodies_malformed),
    ("scratch_short", |all| all.scratches_short),
    ("parts_short", |all| all.parts_short),
    ("head_slow", |all| all.heads_slow),
    ("first_byte_slow", |all| all.first_bytes_slow),
    ("idle_closed", |all| all.idle_closed),
    ("idle_evicted", |all| all.idle_evicted),
    ("send_slow", |all| all.sends_slow),
    ("linger_cut", |all| all.lingers_cut),
    ("frames_few", |all| all.ended_for_frames),
    ("requests_used_up", |all| all.requests_used_up),
];

static MEMORY: [Family; 6] = [
    each(
        Kind::Gauge,
        "simoom_frames",
        "Frames: all, free now, the fewest ever free, lent to the device, out of reach for \
         received data.",
        "state",
        |view, idx| {
            let all = match idx {
                0 => ("all", view.pool.owned_cnt()),
                1 => ("free", view.pool.free_cnt()),
                2 => ("free_low", view.pool.free_low()),
                3 => ("lent", view.pool.lent_cnt()),
                4 => ("reserved", FRAMES_RESERVED),
                _ => return None,
            };
            Some((Label::Name(all.0), all.1.into()))
        },
    ),
    each(
        Kind::Gauge,
        "simoom_ring_places",
        "Rings: frames that wait for what comes in, packets that the device has not finished \
         sending, packets that there is space for.",
        "state",
        |view, idx| {
            let all = match idx {
                0 => ("rx_filled", view.rings.rx_frames),
                1 => ("tx_outstanding", view.rings.tx_outstanding),
                2 => ("tx_space", view.rings.tx_space),
                _ => return None,
            };
            Some((Label::Name(all.0), all.1.into()))
        },
    ),
    each(
        Kind::Counter,
        "simoom_ring_packets_total",
        "Packets over the rings, by ring.",
        "ring",
        |view, idx| rings(idx, view.rings.rx_packets, view.rings.tx_packets),
    ),
    each(
        Kind::Counter,
        "simoom_ring_doorbells_total",
        "Doorbells or system calls, by ring.",
        "ring",
        |view, idx| rings(idx, view.rings.rx_doorbells, view.rings.tx_doorbells),
    ),
    ratio(
        "simoom_ring_packets_per_doorbell_ratio",
        "Packets sent a doorbell, since the start.",
        |view| (view.rings.tx_packets, view.rings.tx_doorbells),
    ),
    each(
        Kind::Counter,
        "simoom_ring_faults_total",
        "What went wrong at the rings, by kind.",
        "kind",
        |view, idx| {
            let all = match idx {
                0 => ("rx_dropped", view.rings.rx_dropped),
                1 => ("rx_without_frame", view.rings.rx_pool_empty),
                2 => ("tx_dropped", view.rings.tx_dropped),
                3 => ("bytes_copied", view.rings.bytes_copied),
                4 => ("resets", view.rings.resets),
                _ => return None,
            };
            Some((Label::Name(all.0), all.1))
        },
    ),
];

fn rings(idx: usize, rx: u64, tx: u64) -> Option<(Label, u64)> {
    match idx {
        0 => Some((Label::Name("rx"), rx)),
        1 => Some((Label::Name("tx"), tx)),
        _ => None,
    }
}

static LOOK: [Family; 8] = [
    gauge(
        "simoom_uptime_seconds",
        "Seconds since the start.",
        |view| view.now.as_micros() / 1_000_000,
    ),
    gauge(
        "simoom_answering_core",
        "The core that answers; each connection is of one.",
        |view| view.admin.desk.map_or(0, |desk| desk.core() as u64),
    ),
    family(
        Kind::Counter,
        "simoom_core_total",
        "With several cores: what each has done, as of a second ago at most. All else is of the \
         core that answers.",
        Values::Cores,
    ),
    family(
        Kind::Gauge,
        "simoom_core",
        "With several cores: connections and free frames of each, as of a second ago at most.",
        Values::Cores,
    ),
    each(
        Kind::Counter,
        "simoom_admin_total",
        "What happened at the admin port, by event.",
        "event",
        |view, idx| {
            let counters = view.admin.counters();
            let all = [
                ("accepted", counters.accepted),
                ("answers", counters.answers),
                ("errors", counters.errors),
                ("conns_refused", counters.conns_refused),
                ("addr_refused", counters.addr_refused),
                ("slow", counters.slow),
            ];
            all.get(idx).map(|(name, cnt)| (Label::Name(name), *cnt))
        },
    ),
    each(
        Kind::Counter,
        "simoom_log_lines_total",
        "Lines of the access log, by what became of them.",
        "fate",
        |view, idx| {
            let all = [
                ("recorded", view.log.recorded),
                ("written", view.log.written),
                ("overflowed", view.log.overflowed),
                ("unsent", view.log.unsent),
            ];
            all.get(idx).map(|(name, cnt)| (Label::Name(name), *cnt))
        },
    ),
    gauge(
        "simoom_log_waiting_lines",
        "Answers that wait to be written down.",
        |view| view.log_waiting as u64,
    ),
    each(
        Kind::Gauge,
        "simoom_capture_packets",
        "Packets of the last capture: seen, taken by its filter, lost because nobody read them.",
        "fate",
        |view, idx| {
            let all = [
                ("seen", view.capture.seen),
                ("taken", view.capture.taken),
                ("overflowed", view.capture.overflowed),
            ];
            all.get(idx).map(|(name, cnt)| (Label::Name(name), *cnt))
        },
    ),
];
