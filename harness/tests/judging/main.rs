//! The judge: against a simulated service, on recorded timelines, and on anything else.

mod causes;
mod measuring;
mod reasons;
mod robust;
mod simulation;
mod timelines;
