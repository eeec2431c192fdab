//! The driver trait, the frame pool and the frames of Simoom.
