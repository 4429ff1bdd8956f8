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
//! - [`catalog`]: drills with their environments, held one against the other.
//! - [`explain`] and [`schema`]: what the words in the files mean, for people and for editors.
//! - [`timeline`]: the record of a run.
//! - [`episode`]: what the system did, read from the samples as they come.
//! - [`verdict`]: what follows from a timeline.
//! - [`report`]: how that is shown.

pub mod catalog;
mod check;
pub mod drill;
pub mod environment;
pub mod episode;
pub mod explain;
pub mod report;
pub mod schema;
pub mod source;
pub mod timeline;
pub mod verdict;
