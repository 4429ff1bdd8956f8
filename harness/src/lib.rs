//! Blackstart rehearses disasters on failover architectures and tells, as test cases, whether users came back in time and by
//! the way that was planned.
//!
//! ```text
//! drills/*.yaml --load--> Drill --plan--> Plan --run--> Timeline --judge--> Judgement --render--> terminal json junit
//! ```
//!
//! Each arrow is one function, and only `run` changes anything.
//!
//! - [`source`]: the text of the files, a tree with positions, and the problems found in it.
//! - [`drill`] and [`environment`]: what the files say.
//! - [`timeline`]: the record of a run.
//! - [`verdict`]: what follows from a timeline.
//! - [`report`]: how that is shown, and [`live`] while it goes on.
//! - [`exit_code`]: what the caller is told.

pub mod drill;
pub mod environment;
pub mod exit_code;
pub mod live;
pub mod report;
pub mod source;
pub mod timeline;
pub mod verdict;
