//! A simulated device, as the stack sees it.

use std::cell::RefCell;
use std::rc::Rc;

use simoom_ring::{Armed, BodyMemory, Caps, Figures, FramePool, LinkState, MacAddr, Port, Queue};

use crate::layout::ETH_LEN;
use crate::medium::{Medium, Rx, RxSlots};
use crate::{End, PortConfig, SimRx, SimTx};

/// One end of a [`Wire`](crate::Wire), with a queue pair.
pub struct SimPort {
    medium: Rc<RefCell<Medium>>,
    end: End,
    config: PortConfig,
    is_queue_out: bool,
    region: Rc<RefCell<Region>>,
}

/// Content that the device reaches.
#[derive(Default)]
pub(crate) struct Region {
    placed: Vec<&'static [u8]>,
    len: usize,
}

impl Region {
    /// Whether a slice lies in what was placed.
    pub(crate) fn has(&self, content: &[u8]) -> bool {
        let content = content.as_ptr_range();
        content.is_empty()
            || self.placed.iter().any(|placed| {
                let placed = placed.as_ptr_range();
                placed.start <= content.start && content.end <= placed.end
            })
    }
}

impl SimPort {
    pub(crate) fn new(medium: Rc<RefCell<Medium>>, end: End, config: PortConfig) -> Self {
        Self {
            medium,
            end,
            config,
            is_queue_out: false,
            region: Rc::default(),
        }
    }

    /// The name of this end on the wire.
    pub fn end(&self) -> End {
        self.end
    }

    /// The configuration that it was attached with.
    pub fn config(&self) -> &PortConfig {
        &self.config
    }
}

impl<'p> Port<'p> for SimPort {
    type Queue = SimQueue<'p>;

    fn caps(&self) -> Caps {
        self.config.caps()
    }

    fn mac(&self) -> MacAddr {
        self.config.mac
    }

    fn link(&mut self) -> LinkState {
        self.medium.borrow().end(self.end).link
    }

    /// # Panics
    /// When the pool's frames are too small for the MTU and the headroom.
    fn queue(&mut self, idx: u16, pool: &'p FramePool<'p>) -> Option<SimQueue<'p>> {
        if idx != 0 || self.is_queue_out || pool.free_cnt() == 0 {
            return None;
        }
        let config = self.config;
        let room = pool
            .frame_size()
            .saturating_sub(usize::from(config.headroom));
        let first_cap = room.min(config.rx_piece_len_max);
        assert!(
            first_cap >= 128 && (config.rx_large || first_cap >= usize::from(config.mtu) + ETH_LEN),
            "a frame of the pool holds headroom and MTU"
        );
        self.is_queue_out = true;
        self.medium.borrow_mut().end_mut(self.end).rx = Rx::Ring(RxSlots {
            posted: 0,
            unfilled: 0,
            first_cap,
            rest_cap: pool.frame_size().min(config.rx_piece_len_max),
            arrived: Default::default(),
        });
        let mut rx = SimRx::new(Rc::clone(&self.medium), self.end, config, pool);
        rx.refill();
        let region = Rc::clone(&self.region);
        let tx = SimTx::new(Rc::clone(&self.medium), self.end, config, region);
        Some(SimQueue {
            rx,
            tx,
            medium: Rc::clone(&self.medium),
            end: self.end,
        })
    }

    /// With `BodyMemory::Region` the copy is kept until the program ends, as content is.
    fn place(&mut self, content: &'static [u8]) -> Option<&'static [u8]> {
        if self.config.body_memory == BodyMemory::Anywhere {
            return Some(content);
        }
        let mut region = self.region.borrow_mut();
        let len = region.len.checked_add(content.len())?;
        if len > self.config.region_len {
            return None;
        }
        let placed: &'static [u8] = Box::leak(content.into());
        region.len = len;
        region.placed.push(placed);
        Some(placed)
    }
}

/// The queue pair of a [`SimPort`]. All frames of its rings go home when it is dropped.
pub struct SimQueue<'p> {
    rx: SimRx<'p>,
    tx: SimTx<'p>,
    medium: Rc<RefCell<Medium>>,
    end: End,
}

impl<'p> Queue<'p> for SimQueue<'p> {
    type Rx = SimRx<'p>;
    type Tx = SimTx<'p>;

    fn rings(&mut self) -> (&mut SimRx<'p>, &mut SimTx<'p>) {
        (&mut self.rx, &mut self.tx)
    }

    fn arm(&mut self) -> Armed {
        let mut medium = self.medium.borrow_mut();
        let end = medium.end_mut(self.end);
        end.is_armed = true;
        let has_arrived = matches!(&end.rx, Rx::Ring(slots) if !slots.arrived.is_empty());
        if has_arrived || end.tx_done > 0 || self.rx.has_ready() {
            Armed::Ready
        } else {
            Armed::Sleep
        }
    }

    fn figures(&self) -> Figures {
        Figures::default()
    }
}

impl Drop for SimQueue<'_> {
    fn drop(&mut self) {
        self.medium.borrow_mut().close(self.end);
    }
}
