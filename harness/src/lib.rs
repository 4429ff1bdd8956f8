//! Blackstart rehearses disasters on failover architectures and tells, as test cases, whether users came back in time and by
//! the way that was planned.
//!
//! ```text
//! drills/*.yaml --load--> Drill --plan--> Plan --run--> Timeline --judge--> Judgement --render--> terminal html json junit
//!                 pure            reads         the only           pure: re-runnable             pure
//!                                 targets       step that acts     on a saved timeline
//! ```
//!
//! Each arrow is one function, and only [`run::run`] changes anything.
//!
//! - [`source`]: the text of the files, a tree with positions, and the problems found in it.
//! - [`drill`] and [`environment`]: what the files say; [`catalog`] loads several and holds one against the other.
//! - [`plan`]: everything a drill will do, worked out beforehand.
//! - [`provider`] reaches targets, [`probe`] looks at the service, [`run`] goes through the phases with both.
//! - [`journal`]: what restores each target, on disk before it is touched.
//! - [`recovery`] restores from a journal when the run cannot.
//! - [`timeline`]: the record of a run.
//! - [`episode`] and [`verdict`]: what follows from a timeline; [`statistics`]: what follows from several.
//! - [`report`] shows that, [`live`] shows a run while it goes on.
//! - [`history`]: past runs, over time and held against each other.
//! - [`notify`] tells people while a drill runs.
//! - [`watch`]: what was seen of a service while nothing was broken.
//! - [`suite`] takes drills from plan to report; [`cli`] and [`testing`] are its two users.
//! - [`schema`], [`explain`] and [`exit_code`]: what other programs and people at 3 a.m. need to know.

pub mod catalog;
mod causes;
mod check;
pub mod cli;
pub mod drill;
pub mod environment;
pub mod episode;
pub mod exit_code;
pub mod explain;
pub mod history;
mod hostile;
pub mod journal;
pub mod live;
pub mod notify;
pub mod plan;
pub mod probe;
pub mod provider;
pub mod recovery;
pub mod report;
pub mod run;
pub mod schema;
pub mod source;
pub mod statistics;
pub mod suite;
pub mod testing;
pub mod timeline;
pub mod verdict;
pub mod watch;
