//! The table of connections: slots in the embedder's memory, each with the links of the free list,
//! the accept queue, and the list of connections that wait for the transmit ring.

use managed::ManagedSlice;

use super::app::{App, ConnId};
use super::idx::NONE;
use super::tcb::Tcb;
use super::tuple::Tuple;

/// The memory of one connection.
pub struct ConnSlot<'p, A: App> {
    live: Option<Live<'p, A>>,
    generation: u32,
    /// Next free slot, or next in the accept queue.
    next: u32,
    /// Next of those that have something to send; `UNLINKED` if it is none of them.
    next_ready: u32,
}

impl<A: App> Default for ConnSlot<'_, A> {
    fn default() -> Self {
        Self {
            live: None,
            generation: 0,
            next: NONE,
            next_ready: UNLINKED,
        }
    }
}

pub(super) struct Live<'p, A: App> {
    pub(super) tcb: Tcb<'p, A::Congestion>,
    /// `None` until the application has accepted the connection.
    pub(super) state: Option<A::Conn>,
}

/// Such a connection.
type Accepted<'a, 'p, A> = (
    ConnId,
    &'a mut Tcb<'p, <A as App>::Congestion>,
    &'a mut <A as App>::Conn,
);

/// All connections.
pub(crate) struct Conns<'p, A: App> {
    slots: ManagedSlice<'p, ConnSlot<'p, A>>,
    free_first: u32,
    cnt: usize,
    ready_first: u32,
    ready_last: u32,
}

impl<'p, A: App> Conns<'p, A> {
    pub(crate) fn new(mut slots: ManagedSlice<'p, ConnSlot<'p, A>>) -> Self {
        let len = slots.len().min(super::demux::INDEX_MAX) as u32;
        for (idx, slot) in (0..len).zip(slots.iter_mut()) {
            slot.next = if idx + 1 < len { idx + 1 } else { NONE };
        }
        let free_first = if len == 0 { NONE } else { 0 };
        Self {
            slots,
            free_first,
            cnt: 0,
            ready_first: NONE,
            ready_last: NONE,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn cnt(&self) -> usize {
        self.cnt
    }

    #[inline]
    pub(crate) fn tuple(&self, idx: u32) -> Option<Tuple> {
        let live = self.slots.get(idx as usize)?.live.as_ref()?;
        Some(live.tcb.tuple)
    }

    /// Whether the connection is that of `tuple`.
    #[inline]
    pub(crate) fn is(&self, idx: u32, tuple: Tuple) -> bool {
        let slot = self.slots.get(idx as usize);
        let live = slot.and_then(|slot| slot.live.as_ref());
        live.is_some_and(|live| live.tcb.tuple == tuple)
    }

    pub(crate) fn has_free(&self) -> bool {
        self.free_first != NONE
    }

    #[inline]
    pub(crate) fn insert(
        &mut self,
        tcb: Tcb<'p, A::Congestion>,
        state: Option<A::Conn>,
    ) -> Option<u32> {
        let idx = self.free_first;
        let slot = self.slots.get_mut(idx as usize)?;
        self.free_first = slot.next;
        slot.next = NONE;
        slot.live = Some(Live { tcb, state });
        self.cnt += 1;
        Some(idx)
    }

    /// Frees the slot of a connection; its name stands for nothing any more.
    #[inline]
    pub(super) fn remove(&mut self, idx: u32) {
        if let Some(slot) = self.slots.get_mut(idx as usize)
            && slot.live.is_some()
        {
            slot.live = None;
            slot.generation = slot.generation.wrapping_add(1);
            slot.next = self.free_first;
            self.free_first = idx;
            self.cnt -= 1;
        }
    }

    pub(crate) fn id(&self, idx: u32) -> ConnId {
        let generation = self
            .slots
            .get(idx as usize)
            .map_or(0, |slot| slot.generation);
        ConnId { idx, generation }
    }

    /// The names of all connections. Looks at each slot: not for a packet's way.
    pub(crate) fn ids(&self) -> impl Iterator<Item = ConnId> {
        let slots = (0..).zip(self.slots.iter());
        slots.filter_map(|(idx, slot)| {
            let generation = slot.generation;
            slot.live.is_some().then_some(ConnId { idx, generation })
        })
    }

    /// The connections in `cnt` slots from `first` on.
    pub(super) fn live_from(
        &self,
        first: usize,
        cnt: usize,
    ) -> impl Iterator<Item = (ConnId, &Live<'p, A>)> {
        let slots = self.slots.get(first..).unwrap_or_default();
        // Beyond the last index there are no slots.
        let indices = u32::try_from(first).unwrap_or(u32::MAX)..;
        let slots = indices.zip(slots.iter().take(cnt));
        slots.filter_map(|(idx, slot)| {
            let generation = slot.generation;
            Some((ConnId { idx, generation }, slot.live.as_ref()?))
        })
    }

    /// The slot that a name stands for, while it does.
    pub(crate) fn named(&self, id: ConnId) -> Option<u32> {
        let slot = self.slots.get(id.idx as usize)?;
        (slot.generation == id.generation && slot.live.is_some()).then_some(id.idx)
    }

    #[inline]
    pub(super) fn live(&mut self, idx: u32) -> Option<&mut Live<'p, A>> {
        self.slots.get_mut(idx as usize)?.live.as_mut()
    }

    /// A connection that the application has accepted: its name, and what both keep of it.
    #[inline]
    pub(super) fn accepted(&mut self, idx: u32) -> Option<Accepted<'_, 'p, A>> {
        let slot = self.slots.get_mut(idx as usize)?;
        let generation = slot.generation;
        let Live { tcb, state } = slot.live.as_mut()?;
        Some((ConnId { idx, generation }, tcb, state.as_mut()?))
    }

    #[inline]
    pub(crate) fn tcb(&mut self, idx: u32) -> Option<&mut Tcb<'p, A::Congestion>> {
        self.live(idx).map(|live| &mut live.tcb)
    }

    /// Shows all connections.
    pub(crate) fn each(&mut self, mut show: impl FnMut(&mut Tcb<'p, A::Congestion>)) {
        for live in self.slots.iter_mut().filter_map(|slot| slot.live.as_mut()) {
            show(&mut live.tcb);
        }
    }

    pub(crate) fn app_state(&mut self, idx: u32) -> Option<&mut A::Conn> {
        self.live(idx)?.state.as_mut()
    }

    pub(crate) fn set_app_state(&mut self, idx: u32, state: A::Conn) {
        if let Some(live) = self.live(idx) {
            live.state = Some(state);
        }
    }

    pub(crate) fn next(&self, idx: u32) -> u32 {
        self.slots.get(idx as usize).map_or(NONE, |slot| slot.next)
    }

    pub(crate) fn set_next(&mut self, idx: u32, next: u32) {
        if let Some(slot) = self.slots.get_mut(idx as usize) {
            slot.next = next;
        }
    }

    /// Puts a connection on the list of those that have something to send.
    pub(crate) fn push_ready(&mut self, idx: u32) {
        let Some(slot) = self.slots.get_mut(idx as usize) else {
            return;
        };
        if slot.next_ready != UNLINKED {
            return;
        }
        slot.next_ready = NONE;
        match self.slots.get_mut(self.ready_last as usize) {
            Some(last) => last.next_ready = idx,
            None => self.ready_first = idx,
        }
        self.ready_last = idx;
    }

    pub(crate) fn pop_ready(&mut self) -> Option<u32> {
        let idx = self.ready_first;
        let slot = self.slots.get_mut(idx as usize)?;
        self.ready_first = core::mem::replace(&mut slot.next_ready, UNLINKED);
        if self.ready_first == NONE {
            self.ready_last = NONE;
        }
        Some(idx)
    }

    pub(crate) fn has_ready(&self) -> bool {
        self.ready_first != NONE
    }
}

/// Not in the list.
const UNLINKED: u32 = u32::MAX - 1;
