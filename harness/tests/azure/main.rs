//! The Azure binding against a stand-in that answers as Azure Resource Manager is documented to, and keeps what it is told.

#![expect(clippy::unwrap_used, reason = "these are tests")]

#[path = "../shared/beside_a_lab.rs"]
mod beside_a_lab;
mod busy;
mod following;
mod kills;
mod machines;
mod rehearsing;
mod rig;
mod rules;
mod stand_in;
mod switches;
mod trouble;

use blackstart_lab as _;
