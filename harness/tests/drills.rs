//! Every shipped drill, run in the lab: one trial a drill.

fn main() -> std::process::ExitCode {
    blackstart::testing::drills(concat!(env!("CARGO_MANIFEST_DIR"), "/../drills"))
}
