//! The `blackstart` program.

fn main() -> blackstart::exit_code::ExitCode {
    blackstart::cli::main()
}
